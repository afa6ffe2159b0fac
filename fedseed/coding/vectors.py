"""Vectors of numbers that travel: weights, changes of weights, factors, scalars."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import WireError

Vector = NDArray[np.float32]
"""Numbers end to end, shape ``(n,)``."""
Words = NDArray[np.uint32]
"""Integers modulo 2 ** 32, shape ``(n,)``: numpy's own sums wrap around."""
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


@dataclass(frozen=True)
class Parts:
    """Named arrays that lie end to end in a vector."""

    shapes: Mapping[str, tuple[int, ...]]
    """Name and shape of each, in order."""

    @property
    def sizes(self) -> list[int]:
        """Numbers in each part."""
        return [math.prod(shape) for shape in self.shapes.values()]

    @property
    def size(self) -> int:
        """Numbers of the vector."""
        return sum(self.sizes)

    def split(self, vector: Vector) -> dict[str, Vector]:
        """The parts of a vector, by name."""
        pieces = np.split(vector, np.cumsum(self.sizes)[:-1])
        named = zip(self.shapes.items(), pieces, strict=True)
        return {name: piece.reshape(shape) for (name, shape), piece in named}

    def join(self, parts: Mapping[str, NDArray[Any]]) -> Vector:
        """The vector of some parts; others may be among them."""
        pieces = [np.asarray(parts[name], dtype=np.float32).ravel() for name in self.shapes]
        return np.concatenate(pieces)
