"""Lower bounds on epsilon from many answers of one client, with a text and without it.

Where an answer costs milliseconds, the definition itself can be tested: a score of each answer, a
threshold, and how often answers with the text, and without it, are above. Two bounds: that of
(epsilon, delta) alone (Jagielski, Ullman and Oprea 2020, arXiv 2006.07709, theorem 1), and that of
the whole trade-off curve where the noise is said to be Gaussian (Nasr et al. 2023, arXiv
2302.07956, section 5, after Dong, Roth and Su 2019): the second is near the truth with far fewer
answers. Of whole numbers under discrete noise it holds where a score's standard deviation is
several units: a sum of one or two such numbers can have a larger share above a threshold than the
curve allows. The threshold comes from answers that are not counted.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fedseed.privacy.accounting import spent

_FEWEST = 10
"""Scores that choose a threshold, at least."""


class Bounds(NamedTuple):
    """Largest epsilons that the answers refute."""

    general: float
    """By the definition of (epsilon, delta)."""
    gaussian: float
    """By the trade-off curve of Gaussian noise; 0 where nothing is refuted."""
    answers: int
    """On either side that were counted."""


def lower_bounds(
    inside: ArrayLike, outside: ArrayLike, delta: float, confidence: float = 0.95
) -> Bounds:
    """Lower bounds on epsilon.

    Args:
        inside: scores of independent answers with the text, larger ones speak for it, shape
            ``(n,)``, at least 20; a quarter of them, but not fewer than 10, choose the threshold.
        outside: as many of answers without it.
        delta: in (0, 1).
        confidence: with which each bound holds.

    Raises:
        ValueError: too few scores, or others on one side than on the other.
    """
    scores = np.asarray([inside, outside], dtype=np.float64)
    if scores.shape[1] < 2 * _FEWEST:
        raise ValueError(f"give at least {2 * _FEWEST} scores on either side")
    choosing = max(_FEWEST, scores.shape[1] // 4)
    counted = scores[:, choosing:]
    found = []
    for threshold in _thresholds(scores[:, :choosing]):
        found.append(_bounds(counted > threshold, delta, confidence))
    general, gaussian = (max(0.0, one) for one in np.max(found, axis=0))
    return Bounds(float(general), float(gaussian), counted.shape[1])


def _thresholds(tried: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> list[float]:
    """Where a bound on the scores that are not counted is best, for each of the two bounds."""
    edges = np.quantile(tried, np.linspace(0.02, 0.98, 49))
    bounds = np.array([_bounds(tried > edge, 1e-9, 0.5) for edge in edges])
    return [float(edges[place]) for place in dict.fromkeys(bounds.argmax(axis=0).tolist())]


def _bounds(
    above: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]", delta: float, confidence: float
) -> tuple[float, float]:
    """Both bounds of one threshold; each side's share has half of what may go wrong.

    Two thresholds may be looked at, which halves it once more.
    """
    from scipy.special import ndtri
    from scipy.stats import binomtest

    level, n = 1 - (1 - confidence) / 4, above.shape[1]
    hits, alarms = (int(side.sum()) for side in above)
    least = binomtest(hits, n, alternative="greater").proportion_ci(level).low
    most = binomtest(alarms, n, alternative="less").proportion_ci(level).high
    general = math.log((least - delta) / most) if least > delta else 0.0
    distance = float(ndtri(least) - ndtri(most)) if least > 0 and most < 1 else 0.0
    return general, spent(1 / distance, 1.0, 1, delta) if distance > 1e-6 else 0.0
