"""Soft labels of more than two classes in few bits: which class is likeliest, how likely, the rest.

Every text has its own scale. Its likeliest class travels as it is. Its likeliest class's
probability, the peak, is rounded to ``2 ** min(8, 2 * bits)`` levels of its square root, from
guessing to certainty. The other classes' shares of the peak are rounded to ``2 ** bits`` levels of
their square root; what the peak leaves is divided among them in these proportions, so that many
small probabilities keep their sum however few the levels are. Steps of the square root cost
alike wherever they are (the Hellinger distance), and a level stands for the mean of what was
rounded to it, which travels too. No other class comes out as likely as the likeliest.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.entropy_coding import (
    Coder,
    categorical,
    frequencies,
    read_words,
    refuse_rest,
    write_words,
)
from fedseed.errors import WireError

Probabilities = NDArray[np.float32]
_ENTRY = np.dtype([("value", "<f4"), ("count", "<u2")])
_COUNT = "<H"
_BELOW_PEAK = 1 - 1e-5
"""The most that another class's share of the peak can be."""


@dataclass(frozen=True)
class _Part:
    """One of the three sequences that travel: which entry of its table each symbol is."""

    table: NDArray[Any]
    """What the entries stand for, and how often they occur."""
    places: NDArray[np.int32]

    def values(self) -> NDArray[np.float32]:
        """What each symbol stands for."""
        return np.asarray(self.table["value"], dtype=np.float32)[self.places]


def _part(levels: NDArray[Any], values: NDArray[Any]) -> _Part:
    """Symbols of some levels; each level stands for the mean of its values."""
    present, inverse = np.unique(levels.reshape(-1), return_inverse=True)
    places: NDArray[np.int32] = inverse.reshape(-1).astype(np.int32)
    counts = np.bincount(places)
    table = np.zeros(len(present), dtype=_ENTRY)
    table["value"] = np.bincount(places, values.reshape(-1)) / counts
    table["count"] = frequencies(places, len(present))
    return _Part(table, places)


def encode_soft(probabilities: Probabilities, bits: int) -> bytes:
    """Write class probabilities of shape ``(texts, classes)``, at least one text, three classes."""
    texts, classes = probabilities.shape
    likeliest = probabilities.argmax(axis=1)
    rows = np.arange(texts)
    peaks = probabilities[rows, likeliest].astype(np.float64)
    shares = (probabilities / peaks[:, None])[_others(likeliest, classes)]
    least = 1 / math.sqrt(classes)
    steps = 2 ** _peak_bits(bits) - 1
    peak_levels = np.rint((np.sqrt(peaks) - least) / (1 - least) * steps)
    share_levels = np.rint(np.sqrt(shares) * (2**bits - 1))
    parts = (
        _part(likeliest, likeliest), _part(peak_levels, peaks), _part(share_levels, shares),
    )  # fmt: skip
    coder = Coder()
    for part in reversed(parts):  # a stack: what is pushed last is read first
        if len(part.table) > 1:
            coder.encode_reverse(part.places, categorical(part.table["count"]))
    tables = [struct.pack(_COUNT, len(part.table)) + part.table.tobytes() for part in parts]
    return b"".join(tables) + write_words(coder)


def decode_soft(data: bytes, texts: int, classes: int, bits: int) -> Probabilities:
    """Read what :func:`encode_soft` wrote, shape ``(texts, classes)``.

    Raises:
        WireError: malformed bytes, or impossible values.
    """
    tables, place = [], 0
    for most in (classes, 2 ** _peak_bits(bits), 2**bits):
        table, place = _read_table(data, place, most)
        tables.append(table)
    _refuse_impossible(tables, classes)
    coder = read_words(data[place:])
    totals = (texts, texts, texts * (classes - 1))
    named, peaks, shares = (
        _Part(table, _read_places(coder, table, total)).values()
        for table, total in zip(tables, totals, strict=True)
    )
    refuse_rest(coder)
    return _probabilities(named.astype(np.int64), peaks, shares.reshape(texts, classes - 1))


def _probabilities(
    likeliest: NDArray[np.int64], peaks: NDArray[np.float32], shares: NDArray[np.float32]
) -> Probabilities:
    """Peaks, and what they leave in proportion to the others' shares of the peak."""
    texts, classes = len(peaks), shares.shape[1] + 1
    peak = np.maximum(peaks.astype(np.float64), 1 / classes)[:, None]
    sums = shares.sum(axis=1, keepdims=True, dtype=np.float64)
    # A text whose others all came to nothing has them alike.
    weights = np.where(sums > 0, shares / np.where(sums > 0, sums, 1), 1 / (classes - 1))
    whole = np.empty((texts, classes))
    whole[_others(likeliest, classes)] = np.minimum(
        weights * (1 - peak), peak * _BELOW_PEAK
    ).reshape(-1)
    whole[np.arange(texts), likeliest] = peak[:, 0]
    return np.asarray(whole / whole.sum(axis=1, keepdims=True), dtype=np.float32)


def estimated_bytes(texts: int, classes: int, bits: int) -> int:
    """About how many bytes soft labels take at most."""
    symbols = math.log2(classes) + _peak_bits(bits) + bits * (classes - 1)
    entries: int = min(classes, texts) + min(2 ** _peak_bits(bits), texts) + 2**bits
    return math.ceil(texts * symbols / 8) + entries * _ENTRY.itemsize


def _peak_bits(bits: int) -> int:
    """Bits of the peak, on which all other probabilities of a text rest."""
    return min(8, 2 * bits)


def _others(likeliest: NDArray[np.int64], classes: int) -> NDArray[np.bool_]:
    """Which classes are not the likeliest, shape ``(texts, classes)``."""
    return np.asarray(np.arange(classes) != likeliest[:, None])


def _read_table(data: bytes, place: int, most: int) -> tuple[NDArray[Any], int]:
    """A table of at most so many entries, and where it ends."""
    start = place + struct.calcsize(_COUNT)
    if len(data) < start:
        raise WireError("the labels are truncated")
    (entries,) = struct.unpack_from(_COUNT, data, place)
    end = start + entries * _ENTRY.itemsize
    if len(data) < end or not 1 <= entries <= most:
        raise WireError("the labels are truncated")
    return np.frombuffer(data[start:end], _ENTRY), end


def _refuse_impossible(tables: list[NDArray[Any]], classes: int) -> None:
    named, peaks, shares = (table["value"] for table in tables)
    good = (
        np.isin(named, np.arange(classes)).all()
        and ((peaks > 0) & (peaks <= 1)).all()
        and ((shares >= 0) & (shares <= 1)).all()
        and all((table["count"] > 0).all() for table in tables)
    )
    if not good:
        raise WireError("the labels have impossible values")


def _read_places(coder: Any, table: NDArray[Any], total: int) -> NDArray[np.int32]:
    if len(table) == 1:
        return np.zeros(total, dtype=np.int32)
    places: NDArray[np.int32] = coder.decode(categorical(table["count"]), total)
    return places
