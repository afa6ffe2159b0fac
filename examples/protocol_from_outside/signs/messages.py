"""What travels under ``signs``: weights in fp32 down (after round 1), packed bits up."""

import numpy as np
from torch import nn

from fedseed.coding.vectors import Vector, believable
from fedseed.errors import WireError
from fedseed.seeds.assemble import grow, grow_with

_EMPTY = b"\x00"
"""The body of round 1, which is never empty: the seed is the start."""


def encode_signs(change: Vector) -> bytes:
    """One bit a weight, shape ``(n,)``: whether it grew."""
    return np.packbits(change > 0).tobytes()


def decode_signs(body: bytes, size: int, step: float) -> Vector:
    """A change of ``step`` up or down for each of ``size`` weights.

    Raises:
        WireError: another number of bits.
    """
    if len(body) != -(-size // 8):
        raise WireError(f"{len(body)} bytes are not the signs of {size} weights")
    bits = np.unpackbits(np.frombuffer(body, np.uint8), count=size)
    if np.packbits(bits).tobytes() != body:
        raise WireError("the signs have bits behind their end")
    return np.where(bits == 1, np.float32(step), np.float32(-step))


def encode_state(weights: Vector | None) -> bytes:
    """The server's weights; None before the first round has ended."""
    return _EMPTY if weights is None else _EMPTY + weights.astype("<f4").tobytes()


def build_model(seed: bytes, body: bytes) -> nn.Module:
    """The model that the server's body stands for.

    Raises:
        WireError: malformed bytes, or weights that cannot be believed.
    """
    if body[:1] != _EMPTY or (len(body) - 1) % 4:
        raise WireError("the download holds no weights")
    return grow_with(seed, believable(np.frombuffer(body[1:], "<f4"))) if body[1:] else grow(seed)
