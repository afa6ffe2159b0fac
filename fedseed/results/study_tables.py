"""The table of every kind of study."""

from collections.abc import Callable, Mapping
from typing import Any

from fedseed.results.ablation_table import ablation_table
from fedseed.results.budget_table import budget_table
from fedseed.results.comparison_table import comparison_table
from fedseed.results.privacy_table import privacy_table
from fedseed.results.zero_shot_table import zero_shot_table

STUDY_TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "ablation": ablation_table, "zero_shot": zero_shot_table, "budget": budget_table,
    "comparison": comparison_table, "privacy": privacy_table,
}  # fmt: skip
"""Markdown from a record, by the record's kind."""
