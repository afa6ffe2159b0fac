"""Soft labels as bytes: quantised to a few bits, then entropy coded (Sattler et al. 2020, CFD).

One bit is the most likely class. With more bits, of two classes the probability of the second is
rounded to ``2 ** bits`` levels; of more classes see :mod:`fedseed.protocols.labels.soft_labels`.
Symbols are coded by asymmetric numeral systems (constriction, Bamler 2022) under their own
frequencies.
"""

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.entropy_coding import (
    Coder,
    categorical,
    read_words,
    refuse_rest,
    write_words,
)
from fedseed.errors import WireError
from fedseed.protocols.labels import BITS
from fedseed.protocols.labels.soft_labels import (
    Probabilities,
    decode_soft,
    encode_soft,
    estimated_bytes,
)

_HEAD = "<BI"
_HEAD_BYTES = struct.calcsize(_HEAD)
_DISTINCT = "<H"
_SUMMED_LEVELS = 255
_FEW_BYTES = 44
"""The head, and what entropy coding may add."""
_ENTRY = np.dtype([("symbol", "u1"), ("count", "<u2")])


def _is_simple(bits: int, classes: int) -> bool:
    """Whether one symbol says all that travels of a text."""
    return bits == 1 or classes == 2


def levels_of(bits: int, classes: int) -> int:
    """Levels of a probability above 0 where probabilities are summed: those that travel at most."""
    return 1 if bits == 1 else int(2**bits - 1) if classes == 2 else _SUMMED_LEVELS


def to_levels(probabilities: Probabilities, bits: int) -> NDArray[np.int64]:
    """Whole numbers of class probabilities as they are read, end to end.

    Of two classes the second alone is told.
    """
    classes = probabilities.shape[1]
    told = probabilities[:, 1:] if classes == 2 else probabilities
    return np.rint(told.reshape(-1) * levels_of(bits, classes)).astype(np.int64)


def from_levels(total: NDArray[np.int64], classes: int, bits: int, clients: int) -> Probabilities:
    """Mean class probabilities of a sum of such, shape ``(texts, classes)``."""
    mean = (total / (levels_of(bits, classes) * clients)).astype(np.float32)
    if classes == 2:
        return np.stack([1 - mean, mean], axis=1)
    each = mean.reshape(-1, classes)
    return np.asarray(each / np.maximum(each.sum(axis=1, keepdims=True), 1e-6), dtype=np.float32)


def encode_labels(probabilities: Probabilities, bits: int) -> bytes:
    """Write class probabilities of shape ``(texts, classes)`` with 1, 2, 4 or 8 bits each."""
    texts, classes = probabilities.shape
    simple = _is_simple(bits, classes)
    body = _encode_symbols(probabilities, bits) if simple else encode_soft(probabilities, bits)
    return struct.pack(_HEAD, bits, texts) + body


def _encode_symbols(probabilities: Probabilities, bits: int) -> bytes:
    """The most likely classes, or the second class's levels."""
    if bits == 1:
        symbols = probabilities.argmax(axis=1)
    else:
        symbols = np.rint(probabilities[:, 1] * (2**bits - 1)).astype(np.int32)
    present, places, counts = np.unique(symbols, return_inverse=True, return_counts=True)
    table = np.zeros(len(present), dtype=_ENTRY)
    table["symbol"] = present
    table["count"] = np.maximum(1, counts * min(1.0, 65_535 / counts.max(initial=1)))
    coder = Coder()
    if len(present) > 1:
        coder.encode_reverse(places.astype(np.int32).reshape(-1), categorical(table["count"]))
    return struct.pack(_DISTINCT, len(present)) + bytes(table.tobytes()) + write_words(coder)


def decode_labels(data: bytes, texts: int, classes: int) -> Probabilities:
    """Read class probabilities of so many texts, shape ``(texts, classes)``.

    Raises:
        WireError: malformed bytes, or labels of other texts.
    """
    if len(data) < _HEAD_BYTES:
        raise WireError("the labels are truncated")
    bits, count = struct.unpack_from(_HEAD, data)
    if bits not in BITS or count != texts:
        raise WireError(f"labels of {count} texts in {bits} bits, not of {texts}")
    body = data[_HEAD_BYTES:]
    if not _is_simple(bits, classes):
        return decode_soft(body, texts, classes, bits)
    symbols = _decode_symbols(body, texts, classes if bits == 1 else 2**bits)
    if bits == 1:
        return np.eye(classes, dtype=np.float32)[symbols]
    second = symbols.astype(np.float32) / np.float32(2**bits - 1)
    return np.stack([1 - second, second], axis=1)


def _decode_symbols(data: bytes, texts: int, limit: int) -> NDArray[np.int32]:
    """One symbol below a limit for every text."""
    start = struct.calcsize(_DISTINCT)
    if len(data) < start:
        raise WireError("the labels are truncated")
    (distinct,) = struct.unpack_from(_DISTINCT, data)
    end = start + distinct * _ENTRY.itemsize
    if len(data) < end or not 1 <= distinct <= 256:
        raise WireError("the labels are truncated")
    table = np.frombuffer(data[start:end], _ENTRY)
    if int(table["symbol"].max()) >= limit or int(table["count"].min()) == 0:
        raise WireError("the labels have impossible values")
    return np.asarray(table["symbol"][_decode_places(data[end:], table, texts)], dtype=np.int32)


def estimated_labels(texts: int, classes: int, bits: int) -> int:
    """About how many bytes the labels of so many texts take at most."""
    if not _is_simple(bits, classes):
        return _FEW_BYTES + estimated_bytes(texts, classes, bits)
    if bits == 1:
        return int(texts * math.log2(classes)) // 8 + classes * _ENTRY.itemsize + _FEW_BYTES
    levels: int = 2**bits
    return texts * bits // 8 + levels * _ENTRY.itemsize + _FEW_BYTES


def _decode_places(words: bytes, table: NDArray[Any], total: int) -> NDArray[np.int32]:
    """Which entry of the table each symbol is."""
    if len(table) == 1:
        if words:
            raise WireError("the labels are longer than they should be")
        return np.zeros(total, dtype=np.int32)
    coder = read_words(words)
    places: NDArray[np.int32] = coder.decode(categorical(table["count"]), total)
    refuse_rest(coder)
    return places
