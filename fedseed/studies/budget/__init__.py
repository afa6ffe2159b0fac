"""The budget study: how few examples and steps are enough."""

from fedseed.studies.description import StudyDescription

STUDY = StudyDescription(
    kind="budget",
    summary="How few examples and steps are enough, and when a download would have been quicker.",
    details="Accuracy for every number of training examples and optimiser steps, from a random "
    "seed, an extracted one and a published model with a frozen body; the smallest budgets for 75, "
    "80 and 85 %; and the link speed below which fine-tuning beats downloading the weights.",
    options="fedseed.studies.budget.options:BudgetOptions",
    study="fedseed.studies.budget.study:Budget",
    table="fedseed.studies.budget.table:budget_table",
    figure="fedseed.studies.budget.figure:budget_figure",
)
