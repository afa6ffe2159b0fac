"""Small whole numbers side by side in words of 32 bits: sums of words are words of sums.

Every number has a field wide enough for the sum of all clients' numbers, so that nothing is carried
from one field into the next.
"""

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.vectors import Words

_WORD = 32


def fields_of(largest_sum: int) -> int:
    """Numbers that fit into one word, where no sum is above some number below 2 ** 32."""
    return _WORD // max(1, largest_sum.bit_length())


def _layout(largest_sum: int) -> tuple[int, int, NDArray[np.int64]]:
    """Fields of a word, the bits of each, and where each begins."""
    fields = fields_of(largest_sum)
    width = _WORD // fields
    return fields, width, np.arange(fields, dtype=np.int64) * width


def packed_length(count: int, largest_sum: int) -> int:
    """Words of so many numbers."""
    return -(-count // fields_of(largest_sum))


def pack(numbers: NDArray[np.integer], largest_sum: int) -> NDArray[np.int64]:
    """Words of some numbers.

    Args:
        numbers: not negative, shape ``(n,)``.
        largest_sum: what the sum of all clients' numbers is at most, at any place.
    """
    fields, _, shifts = _layout(largest_sum)
    padded = np.zeros(packed_length(len(numbers), largest_sum) * fields, np.int64)
    padded[: len(numbers)] = numbers
    return np.asarray((padded.reshape(-1, fields) << shifts).sum(axis=1), dtype=np.int64)


def unpack(total: Words, count: int, largest_sum: int) -> NDArray[np.int64]:
    """The numbers of a sum of words, shape ``(count,)``."""
    _, width, shifts = _layout(largest_sum)
    whole = total.astype(np.int64)[:, None] >> shifts
    return np.asarray((whole & ((1 << width) - 1)).ravel()[:count], dtype=np.int64)
