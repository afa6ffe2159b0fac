"""Weights from a key: a counter-based generator that uses integers until the last step.

The stream of tensor ``name`` under ``key`` is Philox4x64-10 (Salmon et al. 2011, "Parallel
random numbers: as easy as 1, 2, 3", section 4) with the 128-bit key made of ``key`` (low
64 bits) and the first eight bytes of sha256(name), little-endian (high 64 bits), and the
counter starting at 0. A normal deviate is the centred sum of twelve 16-bit integers
(Irwin-Hall), that is of three 64-bit words; its support is +-6 standard deviations. Only
the final scaling uses floating point: one exact conversion, one rounding in float64 and
one to float32, all fixed by IEEE 754. ``docs/fseed.md`` is the specification.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LANES = 12
"""16-bit integers in one deviate."""
CENTRE = LANES * 65535
"""Twice the mean of the sum of the twelve integers."""
_CHUNK = 1 << 14  # in the processor's cache
_PAIRS = np.uint64(0x0000FFFF0000FFFF)


def _bit_generator(key: int, name: str) -> np.random.Philox:
    high = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Philox(key=np.array([key, high], dtype=np.uint64), counter=0)


def _integers(key: int, name: str, count: int) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """Chunks of :func:`integer_normal`, and where each belongs."""
    bits = _bit_generator(key, name)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        words = bits.random_raw(3 * size)
        # Two 32-bit sums side by side in each 64-bit word: at most 6 x 65535, no carry.
        sums = words & _PAIRS
        words >>= np.uint64(16)
        words &= _PAIRS
        sums += words
        halves = (sums[0::3] + sums[1::3] + sums[2::3]).view(np.int32)
        yield slice(start, start + size), 2 * (halves[0::2] + halves[1::2]) - CENTRE


def integer_normal(key: int, name: str, count: int) -> NDArray[np.int32]:
    """Return ``count`` integers distributed as 131,072 times a standard normal.

    Args:
        key: the seed's key, in [0, 2**64).
        name: the tensor's name; every tensor has its own stream.
        count: number of deviates.

    Returns:
        Shape ``(count,)``: twice the sum of twelve uniform 16-bit integers, less its mean.
    """
    out = np.empty(count, dtype=np.int32)
    for place, integers in _integers(key, name, count):
        out[place] = integers
    return out


def normal(key: int, name: str, shape: tuple[int, ...], std: float) -> NDArray[np.float32]:
    """Return normal deviates of mean 0 and standard deviation ``std``, shape ``shape``."""
    out = np.empty(int(np.prod(shape)), dtype=np.float32)
    # std / 2**17 is exact, so that each value is rounded once in float64, once to float32.
    scale = np.float64(std / 131072.0)
    for place, integers in _integers(key, name, len(out)):
        out[place] = integers * scale
    return out.reshape(shape)
