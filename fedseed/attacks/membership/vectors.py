"""Membership inference where no model travels, but a vector of numbers, for example metrics."""

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats

FEWEST_SHADOWS = 3
"""Shadow vectors without which a vector says nothing."""
_LEAST_DEVIATION = 1e-6
"""Least standard deviation of a standardised feature: keeps scores finite."""
_CONSTANT = 1e-12
"""Range, relative to its largest value, below which a feature counts as constant."""
_SHRINKAGE = 0.1
"""Weight of the mean over features in each feature's variance."""
_MOST_DEVIATIONS = 10.0
"""Standardised features are cut to plus or minus this: one wild feature must not decide alone."""


def vector_lira(observed: Floats, shadow_vectors: Floats, members: NDArray[np.bool_]) -> Floats:
    """Likelihood ratio attack where only a vector of numbers travels, for example metrics.

    A candidate's score is the log ratio of two Gaussian densities of the observed vector: around
    the mean of shadow vectors made with the candidate, and around the mean of those without. One
    diagonal variance serves all candidates: that within the two groups, averaged over candidates,
    and drawn towards its mean over features. Each squared distance is divided by the variance of
    a new vector around a mean of n, (1 + 1/n) times that of one vector, and the normalising
    constants are left out: else a candidate's number of shadow vectors alone would move its score.

    Args:
        observed: what the target sent, shape ``(features,)``.
        shadow_vectors: what each shadow client would have sent, ``(shadows, features)``.
        members: whether a shadow client had the candidate, ``(shadows, candidates)``.

    Returns:
        Shape ``(candidates,)``, in nats. Features that are the same in all shadow vectors are
        left out. 0 for candidates that all or none of the shadows had, and for everybody with
        fewer than three shadows or no feature left.

    Raises:
        ValueError: the numbers of shadows or features differ.
    """
    shadows, count = len(shadow_vectors), members.sum(axis=0).astype(np.float64)
    if len(members) != shadows or observed.shape != shadow_vectors.shape[1:]:
        raise ValueError("observed, shadow_vectors and members do not fit together")
    judged = (count > 0) & (count < shadows)
    scores = np.zeros(members.shape[1])
    if shadows < FEWEST_SHADOWS or not judged.any():
        return scores
    alive = np.ptp(shadow_vectors, axis=0) > _CONSTANT * np.abs(shadow_vectors).max(axis=0)
    if not alive.any():
        return scores
    centre, spread = shadow_vectors[:, alive].mean(axis=0), shadow_vectors[:, alive].std(axis=0)
    vectors = (shadow_vectors[:, alive] - centre) / spread
    seen = np.clip((observed[alive] - centre) / spread, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    inside = count[judged, None]
    outside = shadows - inside
    mean_in = members[:, judged].T.astype(np.float64) @ vectors / inside
    mean_out = -mean_in * inside / outside  # the mean of all is 0
    variance = _within(mean_in - mean_out, inside, outside)
    far_in = ((seen - mean_in) ** 2 / variance).sum(axis=1) / (1 + 1 / inside[:, 0])
    far_out = ((seen - mean_out) ** 2 / variance).sum(axis=1) / (1 + 1 / outside[:, 0])
    scores[judged] = (far_out - far_in) / 2
    return scores


def _within(gaps: Floats, inside: Floats, outside: Floats) -> Floats:
    """Pooled variance within two groups of vectors of variance 1, ``(features,)``.

    Args:
        gaps: the groups' means' differences, ``(candidates, features)``.
        inside: size of the first group, ``(candidates, 1)``.
        outside: size of the second.
    """
    shadows = float(inside[0, 0] + outside[0, 0])
    between = inside * outside / shadows * gaps**2
    variance = np.maximum(shadows - between, 0.0).mean(axis=0) / (shadows - 2)
    shrunk = (1 - _SHRINKAGE) * variance + _SHRINKAGE * variance.mean()
    return np.asarray(np.maximum(shrunk, _LEAST_DEVIATION**2), dtype=np.float64)
