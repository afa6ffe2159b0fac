"""Parts of the studies' tables, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedseed.results.table import percent

DETAILS = "## In detail"
"""What stands below it is in table.md alone, not on the screen."""
ONE = "one run"
"""Stands for an interval where nothing is known of the spread."""
ALIKE = "all alike"
"""Stands for an interval where several values are the same."""
QUICK = "**This was a `--quick` run: its numbers mean little.**"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is text, the others are numbers."""
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def with_interval(found: Mapping[str, Any]) -> str:
    """A share with its 95 % interval; a single value of several that there might be has none."""
    low, high = found["ci95"] or (0.0, 0.0)
    words = without_spread(found) or f"{100 * low:.1f} - {100 * high:.1f}"
    return f"{percent(found['value'])} ({words})"


def without_spread(found: Mapping[str, Any]) -> str | None:
    """What stands for the interval of a mean whose values have no spread; None when they have one.

    Values that are all alike bound nothing: an interval of no width would claim certainty.
    """
    if found["ci95"] is None:
        return ONE
    return ALIKE if _is_point(found["ci95"]) else None


def _is_point(ends: Sequence[float]) -> bool:
    return ends[1] - ends[0] < 1e-9


def span(values: Sequence[float]) -> str:
    """Accuracies of repeats: one value, or from the smallest to the largest."""
    low, high = min(values), max(values)
    return percent(low) if low == high else f"{percent(low)} to {percent(high)}"


def points(value: float) -> str:
    """A difference of two shares, in percentage points, with its sign."""
    return f"{100 * value:+.1f}"


def interval_in_points(ends: Sequence[float] | None) -> str:
    """The interval of such a difference."""
    if ends is None:
        return ONE
    return ALIKE if _is_point(ends) else f"{points(ends[0])} to {points(ends[1])}"


def p_value(value: float | None) -> str:
    """A p-value, or why there is none."""
    if value is None:
        return "no spread"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def floor_rows(floors: Mapping[str, Any]) -> list[list[str]]:
    """Floors as rows of name, accuracy and majority baseline."""
    return [
        [f"floor: {found['name']}", with_interval(found), percent(found["majority_baseline"])]
        for found in floors.values()
    ]


def test_line(found: Mapping[str, Any], classes: Sequence[str]) -> str:
    """What was tested on: n, examples of each class, majority baseline."""
    counts = zip(classes, found["class_counts"], strict=True)
    parts = ", ".join(f"{count:,} {name}" for name, count in counts)
    baseline = percent(found["majority_baseline"])
    return f"{found['n']:,} test texts: {parts}; majority baseline {baseline}"
