"""The ablation: whether the seed matters, on one class and on all."""

from fedseed.studies.description import StudyDescription

STUDY = StudyDescription(
    kind="ablation",
    summary="Which seeds matter: four kinds, two recipes, on one class and on all.",
    details="The seed documents' ablation, reproduced with its test set of one class, and done "
    "again on a balanced test, against an original that is fine-tuned, with repeats and paired "
    "tests.",
    options="fedseed.studies.ablation.options:AblationOptions",
    study="fedseed.studies.ablation.study:Ablation",
    table="fedseed.studies.ablation.table:ablation_table",
    figure="fedseed.studies.ablation.figure:ablation_figure",
)
