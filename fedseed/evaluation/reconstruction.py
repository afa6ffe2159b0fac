"""Reconstruction error: how far assembled weights are from those they were extracted from."""

from collections.abc import Mapping

import numpy as np

from fedseed.models.architecture import State


def relative_error(assembled: State, weights: State) -> dict[str, float]:
    """Error of every tensor: ||A - W|| / ||W - mean(W)|| in the Frobenius norm.

    0 is exact; 1 is as good as the tensor's mean alone; independent noise of the right moments
    has about 1.41. A constant tensor has error 0 or infinity.

    Args:
        assembled: tensors by name.
        weights: the original's, at least the same names.
    """
    return {name: _error(values, weights[name]) for name, values in assembled.items()}


def total_error(assembled: State, weights: State) -> float:
    """The same over all tensors, each weighed by its own deviation: their root mean square."""
    errors = relative_error(assembled, weights)
    sizes = np.array([weights[name].size for name in errors], dtype=np.float64)
    squares = np.square(np.array(list(errors.values()), dtype=np.float64))
    finite = np.isfinite(squares)
    return float(np.sqrt(np.average(squares[finite], weights=sizes[finite])))


def _error(assembled: Mapping[int, float] | np.ndarray, weights: np.ndarray) -> float:
    original = np.asarray(weights, dtype=np.float64)
    missed = float(np.linalg.norm(np.asarray(assembled, dtype=np.float64) - original))
    spread = float(np.linalg.norm(original - original.mean()))
    if spread == 0.0:
        return 0.0 if missed == 0.0 else float("inf")
    return missed / spread
