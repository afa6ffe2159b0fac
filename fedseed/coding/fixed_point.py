"""Changes of weights as whole numbers that add up: in fixed point, each part in its range."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.vectors import Parts, Vector, Words

LEVELS = 4095
"""Of a number on either side of zero."""
_LARGEST_SUM = 2**31 - 1


def most_weight(cohort: int) -> int:
    """The largest weight of one of so many clients with which no sum leaves 32 bits."""
    return _LARGEST_SUM // (LEVELS * cohort)


def limits_of(parts: Parts, ranges: Mapping[str, float]) -> Vector:
    """The range of every number, shape ``(parts.size,)``.

    Args:
        parts: which numbers lie where.
        ranges: the largest change of each part's numbers, above 0.
    """
    each = np.array([ranges[name] for name in parts.shapes], dtype=np.float32)
    return np.repeat(each, parts.sizes)


def to_whole(
    change: Vector, limits: Vector, weight: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Weighted whole numbers of a change; rounding is at random and right on average.

    Args:
        change: shape ``(n,)``; what is beyond its range is cut, and NaN counts as 0.
        limits: of every number.
        weight: how much the change counts, at least 1.
        rng: decides which way a number is rounded.
    """
    scaled = np.clip(np.nan_to_num(change / limits), -1, 1) * np.float32(LEVELS)
    up = rng.random(len(scaled), dtype=np.float32)
    return np.asarray(np.floor(scaled + up), dtype=np.int64) * weight


def from_sum(total: Words, limits: Vector, weight: int) -> Vector:
    """The weighted mean of the changes of a sum.

    Args:
        total: sum of what :func:`to_whole` gives, modulo 2 ** 32.
        limits: of every number.
        weight: sum of the weights, at least 1.
    """
    mean = total.view(np.int32) / (float(LEVELS) * weight)
    return (mean * limits).astype(np.float32)
