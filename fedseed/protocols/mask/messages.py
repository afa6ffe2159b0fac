"""Masks, and counts of masks, as bytes.

Bits and counts are coded by asymmetric numeral systems (Duda 2013; constriction, Bamler 2022): for
every tensor a Bernoulli or a categorical distribution whose shares travel before it.
``docs/protocols/mask.md`` has the byte layout.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.entropy_coding import (
    Coder,
    bernoulli,
    categorical,
    frequencies,
    read_words,
    refuse_rest,
    write_words,
)
from fedseed.errors import WireError

Bits = NDArray[np.bool_]
Counts = NDArray[np.uint16]
MOST_MASKS = 65_535
"""Masks that can be counted."""
_LEVELS = 1 << 16
_HEAD = "<H"
_HEAD_BYTES = struct.calcsize(_HEAD)


def encode_mask(mask: Bits, sizes: Sequence[int]) -> bytes:
    """Write a mask: for every tensor the share of its ones in 65,536ths (u16), then the bits.

    Args:
        mask: shape ``(sum of sizes,)``.
        sizes: lengths of the tensors in it.
    """
    parts = np.split(mask, np.cumsum(sizes)[:-1])
    shares = [min(max(round(float(part.mean()) * _LEVELS), 1), _LEVELS - 1) for part in parts]
    coder = Coder()
    for part, share in zip(reversed(parts), reversed(shares), strict=True):
        coder.encode_reverse(part.astype(np.int32), bernoulli(share / _LEVELS))
    return np.array(shares, "<u2").tobytes() + write_words(coder)


def decode_mask(data: bytes, sizes: Sequence[int]) -> Bits:
    """Read a mask of these tensors.

    Raises:
        WireError: malformed bytes, or not those that :func:`encode_mask` writes.
    """
    start = 2 * len(sizes)
    if len(data) < start:
        raise WireError("the mask is truncated")
    shares = np.frombuffer(data[:start], "<u2")
    if not shares.all():
        raise WireError("the mask has an impossible share of ones")
    coder = read_words(data[start:])
    parts = [
        coder.decode(bernoulli(int(share) / _LEVELS), size)
        for share, size in zip(shares, sizes, strict=True)
    ]
    refuse_rest(coder)
    mask = np.concatenate(parts).astype(np.bool_)
    if encode_mask(mask, sizes) != data:
        raise WireError("the mask is not written as masks are")
    return mask


def encode_counts(counts: Counts, masks: int, sizes: Sequence[int]) -> bytes:
    """Write how many of some masks kept each weight.

    The number of masks (u16); for every tensor the frequency of each count from 0 to that number
    (u16); then the counts. Nothing follows when there are no masks.

    Args:
        counts: each at most ``masks``, shape ``(sum of sizes,)``.
        masks: number of masks, at most 65,535; 0 before the first round has ended.
        sizes: lengths of the tensors.
    """
    head = struct.pack(_HEAD, masks)
    if not masks:
        return head
    parts = np.split(counts.astype(np.int32), np.cumsum(sizes)[:-1])
    tables = [frequencies(part, masks + 1) for part in parts]
    coder = Coder()
    for part, table in zip(reversed(parts), reversed(tables), strict=True):
        coder.encode_reverse(part, categorical(table))
    return head + np.concatenate(tables).astype("<u2").tobytes() + write_words(coder)


def decode_counts(data: bytes, sizes: Sequence[int]) -> tuple[Counts, int]:
    """Read the counts of these tensors, and of how many masks they are.

    Raises:
        WireError: malformed bytes.
    """
    if len(data) < _HEAD_BYTES:
        raise WireError("the counts are truncated")
    masks = struct.unpack_from(_HEAD, data)[0]
    if not masks:
        if len(data) > _HEAD_BYTES:
            raise WireError("there are counts of no masks")
        return np.zeros(sum(sizes), dtype=np.uint16), 0
    end = _HEAD_BYTES + 2 * (masks + 1) * len(sizes)
    if len(data) < end:
        raise WireError("the counts are truncated")
    tables = np.frombuffer(data[_HEAD_BYTES:end], "<u2").reshape(len(sizes), masks + 1)
    if not tables.any(axis=1).all():
        raise WireError("the counts have no frequencies")
    coder = read_words(data[end:])
    parts = [
        coder.decode(categorical(table), size) for table, size in zip(tables, sizes, strict=True)
    ]
    refuse_rest(coder)
    return np.concatenate(parts).astype(np.uint16), masks
