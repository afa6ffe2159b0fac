"""Vectors of numbers that travel: weights, changes of weights, factors, scalars."""

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import WireError

Vector = NDArray[np.float32]
"""Numbers end to end, shape ``(n,)``."""
LARGEST = 1e4
"""A weight, or a change of one, beyond this is not believed."""


def believable(values: Vector) -> Vector:
    """The same values.

    Raises:
        WireError: some are not finite, or beyond :data:`LARGEST`.
    """
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    if not (low >= -LARGEST and high <= LARGEST):  # NaN is neither
        raise WireError(f"not believable: weights that are not finite or beyond {LARGEST:g}")
    return values
