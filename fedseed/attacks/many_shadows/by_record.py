"""How well each single text is found, over the runs in which it was trained on and was not.

A rate over all texts of a target mixes texts that nobody could find with a few that everybody does.
Whoever asks about one text asks for its own rate (arXiv 2605.25819).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats
from fedseed.randomness import generator

_WORST = 10
_ALMOST_SURE = 0.9
_RATE = 0.01


def by_record(signals: Floats, members: NDArray[np.bool_]) -> dict[str, Any]:
    """AUC of each text over the runs, and what one threshold for all makes of it.

    Args:
        signals: what the models say of the texts, larger for membership, ``(runs, texts)``.
        members: whether a text was trained on, of the same shape.

    Returns:
        ``texts``, ``runs``; ``auc_median``, ``auc_90th_percentile``, ``share_above_0_9`` over
        texts, and the same of shuffled runs as ``by_chance``; ``worst``, AUCs of the ten texts that
        the first half of the runs finds worst, in the second half; and the true positive rate at
        1 % false positives, with one threshold for all texts (``pooled_``) and with each text's
        own from a Gaussian around its runs without (``calibrated_``).
    """
    shuffled = np.take_along_axis(members, _orders(members.shape), axis=0)
    half = len(signals) // 2
    chosen = np.argsort(-_aucs(signals[:half], members[:half]), kind="stable")[:_WORST]
    worst = _aucs(signals[half:][:, chosen], members[half:][:, chosen])
    return {
        "texts": signals.shape[1], "runs": len(signals), **_summary(_aucs(signals, members)),
        "by_chance": _summary(_aucs(signals, shuffled)),
        "worst": sorted((round(float(auc), 3) for auc in worst), reverse=True),
        **_rates(signals, members),
    }  # fmt: skip


def _orders(shape: tuple[int, ...]) -> NDArray[np.int64]:
    rng = generator(0, "privacy/shuffled runs")
    return np.argsort(rng.random(shape), axis=0)


def _aucs(signals: Floats, members: NDArray[np.bool_]) -> Floats:
    """AUC of each text over runs, shape ``(texts,)``; a half where one kind of run is missing."""
    from scipy.stats import rankdata

    ranks = rankdata(signals, axis=0)
    inside = members.sum(axis=0)
    outside = len(members) - inside
    above = np.where(members, ranks, 0).sum(axis=0) - inside * (inside + 1) / 2
    return np.where((inside > 0) & (outside > 0), above / np.maximum(inside * outside, 1), 0.5)


def _summary(aucs: Floats) -> dict[str, float]:
    return {
        "auc_median": float(np.median(aucs)),
        "auc_90th_percentile": float(np.quantile(aucs, 0.9)),
        "share_above_0_9": float((aucs > _ALMOST_SURE).mean()),
    }


def _rates(signals: Floats, members: NDArray[np.bool_]) -> dict[str, float]:
    """True positive rates at 1 % false positives, over all texts and runs."""
    from scipy.special import ndtr

    pooled = np.quantile(signals[~members], 1 - _RATE)
    # A text's own runs without it, the judged one left out.
    outside = ~members
    count = outside.sum(axis=0) - outside
    total = np.where(outside, signals, 0.0)
    mean = (total.sum(axis=0) - total) / np.maximum(count, 1)
    square = np.where(outside, signals**2, 0.0)
    variance = (square.sum(axis=0) - square) / np.maximum(count, 1) - mean**2
    freedom = count / np.maximum(count - 1, 1)
    deviation = np.sqrt(np.maximum(variance * freedom, 1e-12))
    sure = 1 - ndtr((signals - mean) / (deviation * np.sqrt(1 + 1 / np.maximum(count, 1))))
    own = np.quantile(sure[~members], _RATE)
    return {
        "pooled_tpr_at_1pct_fpr": float((signals[members] > pooled).mean()),
        "calibrated_tpr_at_1pct_fpr": float((sure[members] < own).mean()),
    }
