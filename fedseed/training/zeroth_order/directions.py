"""Directions over a model's weights, drawn from a key and a number, and moves along them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Scalars = NDArray[np.float32]
"""The sum of the moves along each direction, shape ``(directions,)``."""
_HEADS = ("classifier", "score")
_SIGNS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_SIGNS_OF_BYTE = _SIGNS.astype(np.float32) * 2 - 1


@dataclass(frozen=True)
class Directions:
    """Directions 0 to ``count - 1`` of one run."""

    key: int
    """In [0, 2**64)."""
    count: int

    def packed(self, number: int, size: int) -> NDArray[np.uint8]:
        """One direction, a bit a weight: 1 is +1, lowest bit first.

        Args:
            number: which direction.
            size: number of weights.

        Returns:
            Shape ``(8 * ceil(size / 64),)``: the bytes of Philox's words, little-endian. The key's
            low half is :attr:`key`, its high half the first eight bytes of
            ``sha256("direction/NUMBER")``, little-endian; the first block's counter is 1.
        """
        name = hashlib.sha256(f"direction/{number}".encode()).digest()
        high = int.from_bytes(name[:8], "little")
        bits = np.random.Philox(key=np.array([self.key, high], dtype=np.uint64), counter=0)
        return bits.random_raw(-(-size // 64)).astype("<u8", copy=False).view(np.uint8)

    def signs(self, number: int, size: int) -> NDArray[np.float32]:
        """One direction as +1 and -1, shape ``(size,)``; see :meth:`packed`."""
        packed = self.packed(number, size)
        whole = np.empty((len(packed), 8), dtype=np.float32)
        np.take(_SIGNS_OF_BYTE, packed, axis=0, out=whole, mode="clip")
        return whole.reshape(-1)[:size]


def is_trainable(name: str, head: bool) -> bool:
    """Whether a weight of that name is trained: every one, or those of the classification head.

    Args:
        name: the weight's name in its module.
        head: only what belongs to a top-level module named ``classifier`` or ``score``.
    """
    return not head or name.partition(".")[0] in _HEADS


def trainable(model: nn.Module, head: bool) -> list[nn.Parameter]:
    """The weights of a model that are trained, see :func:`is_trainable`."""
    return [part for name, part in model.named_parameters() if is_trainable(name, head)]


def places(parts: Sequence[nn.Parameter]) -> list[slice]:
    """Where each weight lies when all lie end to end."""
    ends = np.cumsum([part.numel() for part in parts]).tolist()
    return [slice(end - part.numel(), end) for part, end in zip(parts, ends, strict=True)]


def has_head(names: Sequence[str]) -> bool:
    """Whether weights of these names include a classification head."""
    return any(is_trainable(name, True) for name in names)


def displace(model: nn.Module, head: bool, directions: Directions, scalars: Scalars) -> None:
    """Move a model's trainable weights by ``sum over k of scalars[k] * direction k``, in place.

    The sum is made in fp32 in the order of the directions and then added to the weights. A product
    with +1 or -1 is exact, so the result has the same bits on every machine.

    Args:
        model: a module on the CPU.
        head: see :func:`is_trainable`.
        directions: the run's.
        scalars: shape ``(directions.count,)``.
    """
    parts = trainable(model, head)
    total = np.zeros(sum(part.numel() for part in parts), dtype=np.float32)
    for number in np.flatnonzero(scalars):
        total += scalars[number] * directions.signs(int(number), len(total))
    moves = torch.from_numpy(total)
    with torch.no_grad():
        for part, place in zip(parts, places(parts), strict=True):
            part.add_(moves[place].view(part.shape))
