"""What all extracted seeds need: moments, leading components, payloads of fixed length."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fedseed.errors import SeedError
from fedseed.models.architecture import Floats
from fedseed.seeds.prng import normal


def moments(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation as they are encoded: rounded to float16.

    Raises:
        SeedError: they are beyond float16's range, 65,504.
    """
    exact = np.array([values.mean(dtype=np.float64), values.std(dtype=np.float64)])
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise SeedError("a tensor's moments are beyond float16's range (65,504): rescale it")
    return float(rounded[0]), float(rounded[1])


def components(matrix: Floats, rank: int) -> tuple[Floats, Floats, Floats]:
    """Leading singular vectors and values, largest first.

    Args:
        matrix: shape ``(rows, columns)``.
        rank: number of components, at most the smaller side.

    Returns:
        ``(rows, rank)``, ``(rank,)`` and ``(columns, rank)``. Signs are fixed so that the same
        matrix gives the same vectors.
    """
    with threadpool_limits(1):  # other numbers of threads round differently
        left, values, right = _decompose(matrix, rank)
    signs = np.sign(right[np.abs(right).argmax(axis=0), np.arange(right.shape[1])])
    signs[signs == 0] = 1
    left, right = left * signs, right * signs
    return left.astype(np.float32), values.astype(np.float32), right.astype(np.float32)


def _decompose(matrix: Floats, rank: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    small = min(matrix.shape)
    if small <= 64 or 2 * rank > small:
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        return left[:, :rank], values[:rank], right[:rank].T
    from scipy.sparse.linalg import svds

    # A fixed start makes the iteration repeatable; nothing dense beyond the factors is made.
    start = normal(0, "svds", (small,), 1.0)
    left, values, right = svds(matrix, k=rank, v0=start)
    return left[:, ::-1], values[::-1], right[::-1].T


def unpack(layout: str, payload: bytes, kind: str) -> tuple[float, ...]:
    """Read a payload of fixed length.

    Raises:
        SeedError: another length, or NaN or infinity among its floats.
    """
    size = struct.calcsize(layout)
    if len(payload) != size:
        raise SeedError(f"a {kind} seed's payload has {size} bytes here, not {len(payload)}")
    values = struct.unpack(layout, payload)
    if not np.isfinite(np.array([value for value in values if isinstance(value, float)])).all():
        raise SeedError(f"the {kind} seed holds NaN or infinity: make it again")
    return values
