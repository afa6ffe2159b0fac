"""Soft labels as bytes: quantised to a few bits, then entropy coded (Sattler et al. 2020, CFD).

One bit is the most likely class. With more bits the probabilities of all classes but the first are
rounded to ``2 ** bits`` levels. Symbols are coded by asymmetric numeral systems (constriction,
Bamler 2022) under their own frequencies.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import WireError
from fedseed.protocols.entropy_coding import (
    Coder,
    categorical,
    read_words,
    refuse_rest,
    write_words,
)
from fedseed.protocols.labels import BITS

Probabilities = NDArray[np.float32]
_HEAD = "<BIH"
_ENTRY = np.dtype([("symbol", "u1"), ("count", "<u2")])


def quantise(probabilities: Probabilities, bits: int) -> NDArray[np.int32]:
    """Whole numbers that stand for class probabilities of shape ``(texts, classes)``.

    Returns:
        With one bit the most likely class of every text, shape ``(texts,)``; otherwise the levels
        of all classes but the first, end to end, shape ``(texts * (classes - 1),)``.
    """
    if bits == 1:
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int32)
    levels = np.rint(probabilities[:, 1:] * (2**bits - 1))
    return np.asarray(levels, dtype=np.int32).reshape(-1)


def restore(symbols: NDArray[np.int32], classes: int, bits: int) -> Probabilities:
    """Class probabilities of shape ``(texts, classes)`` from what :func:`quantise` returned."""
    if bits == 1:
        return np.eye(classes, dtype=np.float32)[symbols]
    others = symbols.reshape(-1, classes - 1).astype(np.float32) / np.float32(2**bits - 1)
    first = np.maximum(np.float32(0), 1 - others.sum(axis=1, keepdims=True, dtype=np.float32))
    whole = np.concatenate([first, others], axis=1)
    return np.asarray(whole / whole.sum(axis=1, keepdims=True), dtype=np.float32)


def encode_labels(probabilities: Probabilities, bits: int) -> bytes:
    """Write class probabilities of shape ``(texts, classes)`` with 1, 2, 4 or 8 bits each."""
    symbols = quantise(probabilities, bits)
    present, places, counts = np.unique(symbols, return_inverse=True, return_counts=True)
    table = np.zeros(len(present), dtype=_ENTRY)
    table["symbol"] = present
    table["count"] = np.maximum(1, counts * min(1.0, 65_535 / counts.max(initial=1)))
    coder = Coder()
    if len(present) > 1:
        coder.encode_reverse(places.astype(np.int32).reshape(-1), categorical(table["count"]))
    head = struct.pack(_HEAD, bits, len(probabilities), len(present))
    return head + bytes(table.tobytes()) + write_words(coder)


def decode_labels(data: bytes, texts: int, classes: int) -> Probabilities:
    """Read class probabilities of so many texts, shape ``(texts, classes)``.

    Raises:
        WireError: malformed bytes, or labels of other texts.
    """
    start = struct.calcsize(_HEAD)
    if len(data) < start:
        raise WireError("the labels are truncated")
    bits, count, distinct = struct.unpack_from(_HEAD, data)
    end = start + distinct * _ENTRY.itemsize
    if bits not in BITS or count != texts:
        raise WireError(f"labels of {count} texts in {bits} bits, not of {texts}")
    if len(data) < end or not 1 <= distinct <= 256:
        raise WireError("the labels are truncated")
    table = np.frombuffer(data[start:end], _ENTRY)
    limit = classes if bits == 1 else 2**bits
    if int(table["symbol"].max()) >= limit or int(table["count"].min()) == 0:
        raise WireError("the labels have impossible values")
    places = _decode_places(data[end:], table, texts * (1 if bits == 1 else classes - 1))
    return restore(table["symbol"][places].astype(np.int32), classes, bits)


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
