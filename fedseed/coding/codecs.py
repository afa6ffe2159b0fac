"""Codecs: how a vector of weights, or of their changes, becomes bytes.

``int8``, ``int4`` and ``int3`` are uniform quantisers with one step a tensor, and ``topk`` keeps
the largest entries; what they lose is kept by the sender and added to what it sends next (error
feedback: Seide et al. 2014; Karimireddy et al. 2019). Integers are coded by asymmetric numeral
systems (Duda 2013; constriction, Bamler 2022) under their own frequencies, which is where QSGD
(Alistarh et al. 2017) and deep gradient compression (Lin et al. 2018) leave bytes on the table.
Blocks of weights that did not change, such as the embeddings of words that a client does not use,
cost one coded bit.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import MutableMapping, Sequence
from typing import Any

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
from fedseed.coding.vectors import Vector, believable
from fedseed.errors import WireError

_BLOCK = 128


class Codec(ABC):
    """One way to write a vector; the same vector gives the same bytes."""

    number: int
    """Names the codec on the wire."""
    sends_changes = False
    """Whether it is for changes of weights, and loses so much that the sender must remember it."""

    @abstractmethod
    def encode(self, vector: Vector, sizes: Sequence[int]) -> bytes:
        """Write a vector.

        Args:
            vector: shape ``(sum of sizes,)``.
            sizes: lengths of the tensors in it.
        """

    @abstractmethod
    def decode(self, data: bytes, sizes: Sequence[int]) -> Vector:
        """Read a vector of these tensors.

        Raises:
            WireError: malformed bytes, or values that cannot be believed.
        """

    def estimate(self, parameters: int) -> int:
        """About the most bytes of a vector of that length."""
        return 4 * parameters

    @property
    def down(self) -> "Codec":
        """How the server writes what its model has changed since the seed."""
        return self


class Float(Codec):
    """Weights as they are, in fp32 or fp16."""

    def __init__(self, number: int, dtype: str) -> None:
        """Use a numpy type."""
        self.number = number
        self._dtype = np.dtype(dtype)

    def encode(self, vector: Vector, sizes: Sequence[int]) -> bytes:  # noqa: ARG002
        """See :class:`Codec`."""
        return vector.astype(self._dtype, copy=False).tobytes()

    def decode(self, data: bytes, sizes: Sequence[int]) -> Vector:
        """See :class:`Codec`."""
        if len(data) != self._dtype.itemsize * sum(sizes):
            raise WireError(f"{len(data)} bytes are not {sum(sizes)} weights")
        return believable(np.frombuffer(data, self._dtype).astype(np.float32, copy=False))

    def estimate(self, parameters: int) -> int:
        """See :class:`Codec`."""
        return self._dtype.itemsize * parameters


class Rounded(Codec):
    """Changes rounded to whole levels, with one step a tensor, entropy coded."""

    sends_changes = True

    def __init__(self, number: int, levels: int) -> None:
        """Round to so many levels on either side of zero."""
        self.number = number
        self._levels = levels

    def encode(self, vector: Vector, sizes: Sequence[int]) -> bytes:
        """See :class:`Codec`."""
        steps = _largest(vector, sizes) / np.float32(self._levels)
        each = np.repeat(steps, sizes)
        scaled = np.divide(vector, each, out=np.zeros_like(vector), where=each > 0)
        whole = np.rint(scaled).astype(np.int32)
        blocks = _blocks(whole)
        active = _active(blocks)
        symbols = blocks[active].reshape(-1) + self._levels
        counts = frequencies(symbols, 2 * self._levels + 1)
        coder = Coder()
        if len(symbols):
            coder.encode_reverse(symbols, categorical(counts))
        head = steps.astype("<f4").tobytes() + counts.astype("<u2").tobytes()
        return head + _with_pattern(coder, active)

    def decode(self, data: bytes, sizes: Sequence[int]) -> Vector:
        """See :class:`Codec`."""
        start = 4 * len(sizes)
        end = start + 2 * (2 * self._levels + 1)
        if len(data) < end:
            raise WireError("the changes are truncated")
        steps = believable(np.frombuffer(data[:start], "<f4"))
        counts = np.frombuffer(data[start:end], "<u2").astype(np.int64)
        coder, active = _pattern(data[end:], sum(sizes))
        whole = np.zeros((len(active), _BLOCK), dtype=np.float32)
        if active.any():
            if not counts.any():
                raise WireError("the changes have no frequencies")
            symbols = coder.decode(categorical(counts), int(active.sum()) * _BLOCK)
            whole[active] = (symbols - self._levels).reshape(-1, _BLOCK)
        refuse_rest(coder)
        return believable(whole.reshape(-1)[: sum(sizes)] * np.repeat(steps, sizes))

    def estimate(self, parameters: int) -> int:
        """See :class:`Codec`."""
        return int(np.ceil(parameters * np.log2(2 * self._levels + 1) / 8))

    @property
    def down(self) -> Codec:
        """See :class:`Codec`: in 8 bits, since all that follows starts from it."""
        return make_codec("int8", 1.0)


class TopK(Codec):
    """The largest changes in fp16, and where they are."""

    number = 3
    sends_changes = True

    def __init__(self, keep: float) -> None:
        """Keep a share of all entries, in (0, 1]; of those that are not zero."""
        self._keep = keep

    def encode(self, vector: Vector, sizes: Sequence[int]) -> bytes:  # noqa: ARG002
        """See :class:`Codec`."""
        values = vector.astype(np.float16)
        count = int(np.ceil(self._keep * len(vector)))
        if np.count_nonzero(values) > count:
            size = np.abs(values)
            order = np.argpartition(-size, count - 1)[:count]
            kept = np.zeros_like(values)
            kept[order] = values[order]
            values = kept
        blocks = _blocks(values)
        active = _active(blocks)
        places = (blocks[active] != 0).reshape(-1)
        share = _share(places)
        coder = Coder()
        if 0 < share < 1:
            coder.encode_reverse(places.astype(np.int32), bernoulli(share))
        chosen = blocks[active].reshape(-1)[places]
        head = struct.pack("<If", len(chosen), share) + bytes(chosen.astype("<f2").tobytes())
        return head + _with_pattern(coder, active)

    def decode(self, data: bytes, sizes: Sequence[int]) -> Vector:
        """See :class:`Codec`."""
        if len(data) < 8:
            raise WireError("the changes are truncated")
        count, share = struct.unpack_from("<If", data)
        end = 8 + 2 * count
        if count > sum(sizes) or len(data) < end:
            raise WireError("the changes are truncated")
        values = believable(np.frombuffer(data[8:end], "<f2").astype(np.float32))
        coder, active = _pattern(data[end:], sum(sizes))
        total = int(active.sum()) * _BLOCK
        places = np.full(total, share == 1)
        if 0 < share < 1 and total:
            places = np.asarray(coder.decode(bernoulli(share), total), dtype=bool)
        refuse_rest(coder)
        if int(places.sum()) != count:
            raise WireError("the changes do not fit their places")
        part = np.zeros(total, dtype=np.float32)
        part[places] = values
        whole = np.zeros((len(active), _BLOCK), dtype=np.float32)
        whole[active] = part.reshape(-1, _BLOCK)
        return whole.reshape(-1)[: sum(sizes)]

    def estimate(self, parameters: int) -> int:
        """See :class:`Codec`."""
        return int(4 * self._keep * parameters) + parameters // 8

    @property
    def down(self) -> Codec:
        """See :class:`Codec`: the sum of what all clients kept, nothing left out."""
        return TopK(1.0)


CODECS = ("fp32", "fp16", "int8", "topk", "int4", "int3")
"""In the order of their numbers on the wire."""
_LEVELS = {"int8": 127, "int4": 7, "int3": 3}


def make_codec(name: str, keep: float) -> Codec:
    """The codec of a name, one of :data:`CODECS`."""
    floats: dict[str, Codec] = {"fp32": Float(0, "<f4"), "fp16": Float(1, "<f2")}
    if name in _LEVELS:
        return Rounded(CODECS.index(name), _LEVELS[name])
    return floats.get(name) or TopK(keep)


def codec_of(number: int, keep: float) -> Codec:
    """The codec of a number on the wire.

    Raises:
        WireError: no codec has this number, or ``keep`` is not in (0, 1].
    """
    if number >= len(CODECS) or not 0 < keep <= 1:
        raise WireError(f"codec {number}, keeping {keep:g}, is not known")
    return make_codec(CODECS[number], keep)


_RESIDUAL = "residual"


def with_error_feedback(
    change: Vector, codec: Codec, sizes: Sequence[int], memory: MutableMapping[str, bytes]
) -> bytes:
    """Encode a change and what earlier rounds lost, and remember what is lost now, in fp16."""
    residual = np.frombuffer(memory.get(_RESIDUAL, b""), "<f2").astype(np.float32)
    change = change + (residual if len(residual) == len(change) else np.float32(0))
    coded = codec.encode(change, sizes)
    lost = change - codec.decode(coded, sizes)
    memory[_RESIDUAL] = lost.astype("<f2").tobytes()
    return coded


def _largest(vector: Vector, sizes: Sequence[int]) -> Vector:
    """Largest absolute value of every tensor."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    return np.maximum.reduceat(np.abs(vector), starts).astype(np.float32)


def _blocks(values: NDArray[Any]) -> NDArray[Any]:
    """The vector in rows of :data:`_BLOCK`, the last one filled with zeros."""
    missing = -len(values) % _BLOCK
    return np.concatenate([values, np.zeros(missing, values.dtype)]).reshape(-1, _BLOCK)


def _active(blocks: NDArray[Any]) -> NDArray[np.bool_]:
    """Which blocks hold anything."""
    return np.asarray(blocks.any(axis=1), dtype=np.bool_)


def _share(flags: NDArray[np.bool_]) -> float:
    """Share of true flags, as the float32 that travels."""
    return float(np.float32(flags.mean())) if len(flags) else 0.0


def _with_pattern(coder: Any, active: NDArray[np.bool_]) -> bytes:
    """Push which blocks are active, and write everything on the coder's stack."""
    share = _share(active)
    if 0 < share < 1:
        coder.encode_reverse(active.astype(np.int32), bernoulli(share))
    return struct.pack("<f", share) + write_words(coder)


def _pattern(data: bytes, parameters: int) -> tuple[Any, NDArray[np.bool_]]:
    """Pop which blocks are active; what follows is still on the stack."""
    if len(data) < 4:
        raise WireError("the changes are truncated")
    share = struct.unpack_from("<f", data)[0]
    blocks = -(-parameters // _BLOCK)
    if not 0 <= share <= 1:
        raise WireError("the changes have an impossible share of active blocks")
    coder = read_words(data[4:])
    if share in (0, 1):
        return coder, np.full(blocks, share == 1)
    return coder, np.asarray(coder.decode(bernoulli(share), blocks), dtype=bool)
