"""Counts of texts as bytes: the number of a count's binary digits is coded, the rest is raw.

Tokens are in the order of frequency, in blocks within which counts are alike: every block has its
own distribution of lengths, which travels in front. ``docs/protocols/lexicon.md`` has the layout.
"""

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.entropy_coding import (
    Coder,
    read_words,
    refuse_rest,
    uniform,
    write_words,
)
from fedseed.errors import WireError
from fedseed.seeds.frequencies import distribution, frequency_table

_FIRST_BLOCK = 64
_BLOCKS = 32
_LONGEST = 24
"""Binary digits of the largest count."""
Counts = NDArray[np.int64]


@functools.lru_cache(maxsize=4)
def _blocks(tokens: int) -> list[slice]:
    """Neighbouring tokens, more of them the rarer they are; the bounds grow geometrically."""
    grown = np.geomspace(_FIRST_BLOCK, tokens + _FIRST_BLOCK, _BLOCKS + 1) - _FIRST_BLOCK
    edges = np.unique(np.rint(grown).astype(int)).tolist()
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def _digits(counts: Counts) -> NDArray[np.int32]:
    """Binary digits of each count; 0 has none."""
    return np.frexp(counts.astype(np.float64))[1].astype(np.int32)


def encode_counts(counts: Counts) -> bytes:
    """Write counts of shape ``(classes, tokens)``, each below 2^24."""
    tables, coder = [], Coder()
    for block in reversed(_blocks(counts.shape[1])):
        part = counts[:, block].reshape(-1)
        digits = _digits(part)
        long = digits > 1
        if long.any():
            ranges = (1 << (digits[long] - 1)).astype(np.int32)
            coder.encode_reverse((part[long] - ranges).astype(np.int32), uniform(), ranges)
        table = frequency_table(np.bincount(digits))
        if np.count_nonzero(table) > 1:
            coder.encode_reverse(digits, distribution(table))
        tables.append(bytes([len(table)]) + table.tobytes())
    return b"".join(reversed(tables)) + write_words(coder)


def decode_counts(data: bytes, classes: int, tokens: int) -> Counts:
    """Read counts.

    Raises:
        WireError: malformed bytes.
    """
    blocks, tables, place = _blocks(tokens), [], 0
    for _ in blocks:
        size = data[place] if place < len(data) else 0
        table = np.frombuffer(data[place + 1 : place + 1 + size], np.uint8)
        if not 0 < size <= _LONGEST + 1 or len(table) < size or not table.any():
            raise WireError("the counts' tables are truncated or malformed")
        tables.append(table)
        place += 1 + size
    counts = np.zeros((classes, tokens), np.int64)
    coder = read_words(data[place:])
    for block, table in zip(blocks, tables, strict=True):
        counts[:, block] = _read_block(coder, table, classes * (block.stop - block.start)).reshape(
            classes, -1
        )
    refuse_rest(coder)
    return counts


def _read_block(coder: Coder, table: NDArray[np.uint8], size: int) -> Counts:
    if np.count_nonzero(table) > 1:
        digits = np.asarray(coder.decode(distribution(table), size), np.int64)
    else:
        digits = np.full(size, int(table.argmax()), np.int64)
    part: Counts = np.where(digits > 0, 1 << np.maximum(0, digits - 1), 0)
    long = digits > 1
    if long.any():
        part[long] += coder.decode(uniform(), part[long].astype(np.int32))
    return part
