"""The table of every kind of study."""

from collections.abc import Callable, Mapping
from typing import Any

from fedseed.studies.ablation.table import ablation_table
from fedseed.studies.budget.table import budget_table
from fedseed.studies.comparison.table import comparison_table
from fedseed.studies.privacy.table import privacy_table
from fedseed.studies.zero_shot.table import zero_shot_table

STUDY_TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "ablation": ablation_table, "zero_shot": zero_shot_table, "budget": budget_table,
    "comparison": comparison_table, "privacy": privacy_table,
}  # fmt: skip
"""Markdown from a record, by the record's kind."""
