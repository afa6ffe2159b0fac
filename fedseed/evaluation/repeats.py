"""Several repeats of one measurement: intervals over repeats, and paired comparisons."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.evaluation.metrics import ClassCounts, accuracy

_ROUNDING = 1e-12
"""Differences of shares that are no farther apart are the same."""


def over_repeats(models: Sequence[ClassCounts], one_class: bool = False) -> dict[str, Any]:
    """Return the accuracy of repeats of one procedure, in record.json's form.

    The interval covers both sources of doubt, as far as one original and one split allow: which
    examples were drawn for testing (Wilson 1927), and which key and order of examples a repeat
    happened to have (Student's t over the repeats). The two are combined by the method of
    variance estimates recovery (Zou and Donner 2008). With one repeat only the first is known.

    Args:
        models: one test run a repeat, all on the same examples.
        one_class: the examples may be of one class, to show what such a test says.
    """
    whole = accuracy(models, one_class=one_class)
    values = [model.accuracy for model in models]
    spread = _t_half_width(values) or 0.0
    low = whole.value - math.hypot(spread, whole.value - whole.ci95[0])
    high = whole.value + math.hypot(spread, whole.ci95[1] - whole.value)
    record = whole.to_record() | {"ci95": [max(0.0, low), min(1.0, high)]}
    record.pop("models", None)
    return record | {"repeats": [round(value, 6) for value in values]}


def mean_interval(values: Sequence[float]) -> list[float] | None:
    """The 95 % interval of a mean (Student's t), low and high; None for a single value.

    Args:
        values: independent, at least one.
    """
    half, mean = _t_half_width(values), float(np.mean(values))
    return None if half is None else [mean - half, mean + half]


def _t_half_width(values: Sequence[float]) -> float | None:
    """Half that interval."""
    if len(values) < 2:
        return None
    from scipy.stats import t

    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(t.ppf(0.975, len(values) - 1)) * error


def paired(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Compare two procedures repeat by repeat (paired t-test).

    Args:
        first: one value a repeat.
        second: the other procedure's, in the same order.

    Returns:
        ``difference`` (mean of first - second), its ``ci95`` (None for a single repeat),
        ``p_value`` and ``repeats``. When all differences are the same, their spread says nothing:
        ``p_value`` is 1 for no difference, else None.
    """
    gaps = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    mean = float(gaps.mean())
    p_value: float | None = None if mean else 1.0
    if len(gaps) > 1 and np.ptp(gaps) > _ROUNDING:
        from scipy.stats import ttest_1samp

        p_value = float(ttest_1samp(gaps, 0.0).pvalue)
    return {
        "difference": mean, "ci95": mean_interval(gaps.tolist()), "p_value": p_value,
        "repeats": len(gaps),
    }  # fmt: skip


def paired_answers(changes: Sequence[tuple[int, int]], n: int) -> dict[str, Any]:
    """Compare two models of every repeat text by text, on the same test texts.

    Args:
        changes: for each repeat the texts that only the first model has right, and those that only
            the second has right.
        n: test texts.

    Returns:
        ``difference`` (mean share that the first has right beyond the second's), ``ci95`` (of
        texts, by Agresti and Min 2005, and of repeats, combined as in :func:`over_repeats`),
        ``repeats`` (the differences), and ``p_values``, one a repeat (McNemar's exact test, 1947).
    """
    from scipy.stats import binomtest

    gaps = [(gained - lost) / n for gained, lost in changes]
    mean, whole = float(np.mean(gaps)), n + 2  # half a text more in every cell of the table
    disagree = (float(np.mean(np.sum(changes, axis=1))) + 1) / whole
    of_texts = 1.959964 * math.sqrt((disagree - (mean * n / whole) ** 2) / whole)
    half = math.hypot(_t_half_width(gaps) or 0.0, of_texts)
    tests = [binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
             for gained, lost in changes]  # fmt: skip
    return {
        "difference": mean, "ci95": [mean - half, mean + half],
        "repeats": [round(gap, 6) for gap in gaps], "p_values": [float(p) for p in tests],
    }  # fmt: skip


def unpaired(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Compare two accuracies of which no more is known than their intervals.

    Newcombe's hybrid score interval (1998, method 10), by the method of variance estimates recovery
    from the two Wilson intervals (Zou and Donner 2008). It holds for tests on different texts. Of
    two models that were tested on the same texts, and tend to be right on the same ones, it is
    wider than it need be: only their answers text by text would tell by how much.

    Args:
        first: an accuracy of record.json, with ``value`` and ``ci95``.
        second: the other.

    Returns:
        ``difference``, first minus second, and its ``ci95``.
    """
    gap = first["value"] - second["value"]
    below = math.hypot(first["value"] - first["ci95"][0], second["ci95"][1] - second["value"])
    above = math.hypot(first["ci95"][1] - first["value"], second["value"] - second["ci95"][0])
    return {"difference": gap, "ci95": [gap - below, gap + above]}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number (Holm 1979); None stays None and counts."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[place] = highest
    return adjusted
