"""Receiver operating characteristics (ROC) of attacks: how well scores tell members apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedseed.evaluation.repeats import mean_interval

_ROUNDING = 1e-9
"""Slack, in counts of non-members, for rates such as 0.001 that binary numbers cannot hold."""


@dataclass(frozen=True)
class Roc:
    """The ROC of one attack on one target, as a step function with a point for each threshold."""

    false_positive_rates: NDArray[np.float64]
    """Share of non-members called members, rising from 0 to 1; shape ``(thresholds + 1,)``."""
    true_positive_rates: NDArray[np.float64]
    """Share of members called members at the same thresholds, rising from 0 to 1."""
    non_members: int
    """Number of non-members: rates below ``1 / non_members`` cannot be told from 0."""

    @property
    def auc(self) -> float:
        """Area under the ROC, in [0, 1]: P(member > non-member) + P(equal) / 2 (0.5 is chance)."""
        return float(np.trapezoid(self.true_positive_rates, self.false_positive_rates))


def roc_of(scores_in: ArrayLike, scores_out: ArrayLike) -> Roc:
    """Return the ROC of scores of which larger ones speak for membership.

    Every distinct score is a threshold, at which scores of that value or more count as members;
    equal scores therefore stand or fall together, whatever their order.

    Args:
        scores_in: scores of members, shape ``(members,)``; infinite ones are allowed.
        scores_out: scores of non-members, shape ``(non_members,)``.

    Raises:
        ValueError: a side is empty, or a score is NaN.
    """
    inside, outside = _sorted(scores_in), _sorted(scores_out)
    thresholds = np.unique(np.concatenate([inside, outside]))[::-1]
    rates = [
        np.concatenate([[0.0], 1.0 - np.searchsorted(scores, thresholds) / len(scores)])
        for scores in (outside, inside)
    ]
    return Roc(rates[0], rates[1], len(outside))


def _sorted(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if not len(values):
        raise ValueError("a ROC needs at least one member and one non-member")
    if np.isnan(values).any():
        raise ValueError("a score is NaN")
    return values


def tpr_at(scores_in: ArrayLike, scores_out: ArrayLike, fpr: float) -> float:
    """Largest true positive rate at a threshold whose false positive rate is at most ``fpr``.

    Nothing is interpolated between thresholds, and with fewer than ``1 / fpr`` non-members the
    answer is NaN: so few cannot show a false positive rate of ``fpr`` (Carlini et al. 2022,
    sec. III, on why low rates are what matters). It is NaN too where members share the highest
    score with more non-members than are allowed: such scores are too coarse to find anybody.

    Args:
        scores_in: scores of members, shape ``(members,)``.
        scores_out: scores of non-members, shape ``(non_members,)``.
        fpr: the false positive rate that is allowed, in (0, 1].

    Raises:
        ValueError: ``fpr`` is outside (0, 1], a side is empty, or a score is NaN.
    """
    if not 0.0 < fpr <= 1.0:
        raise ValueError(f"a false positive rate lies in (0, 1], not {fpr}")
    roc = roc_of(scores_in, scores_out)
    allowed = fpr * roc.non_members + _ROUNDING
    if allowed < 1.0:
        return float("nan")
    within = roc.false_positive_rates * roc.non_members <= allowed
    best = float(roc.true_positive_rates[within][-1])
    nobody = not roc.false_positive_rates[within].any() and best == 0.0
    return float("nan") if nobody and roc.true_positive_rates[~within][0] > 0.0 else best


def over_targets(values: Sequence[float], rates: bool = True) -> dict[str, Any]:
    """Return the mean over independent targets and its 95 % interval (Student's t).

    Args:
        values: one number a target, for example its AUC.
        rates: the numbers are rates, so that the interval is cut to [0, 1].

    Returns:
        ``value`` and ``ci95`` (``[low, high]``), in record.json's form. Both are None if a value
        is NaN: a mean over the targets that happen to have one would speak of others. A single
        target has no interval: nothing is known of the spread.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("a mean needs at least one target")
    if np.isnan(values).any():
        return {"value": None, "ci95": None}
    interval = mean_interval(values)
    if interval and rates:
        interval = [max(0.0, interval[0]), min(1.0, interval[1])]
    return {"value": float(np.mean(values)), "ci95": interval}


def fpr_grid(non_members: int, points: int = 100) -> NDArray[np.float64]:
    """False positive rates from ``1 / non_members`` to 1, evenly spaced in their logarithm."""
    return np.geomspace(1.0 / non_members, 1.0, points)


def mean_roc(rocs: Sequence[Roc], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean true positive rate of several ROCs at each false positive rate of a grid.

    Each ROC is read as :func:`tpr_at` reads it: without interpolation. Rates below a ROC's
    ``1 / non_members`` are read at 0 false positives; a figure should start above (``fpr_grid``).

    Args:
        rocs: one a target, at least one.
        grid: false positive rates in [0, 1], shape ``(points,)``.

    Returns:
        Mean true positive rates, shape ``(points,)``.
    """
    rates = []
    for roc in rocs:
        counts = roc.false_positive_rates * roc.non_members
        last = np.searchsorted(counts, grid * roc.non_members + _ROUNDING, side="right") - 1
        rates.append(roc.true_positive_rates[last])
    return np.asarray(np.mean(rates, axis=0), dtype=np.float64)
