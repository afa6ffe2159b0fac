"""The body that goes down under ``weights``: the codec, and the server's weights or their changes.

``docs/protocols/weights.md`` has the byte layout.
"""

import struct

from torch import nn

from fedseed.coding.codecs import Codec, codec_of
from fedseed.coding.vectors import Vector
from fedseed.errors import WireError
from fedseed.protocols.shared_model import flat_weights
from fedseed.seeds.assemble import grow, grow_with, tensor_sizes

_CODEC = "<Bf"
HEAD_BYTES = struct.calcsize(_CODEC)
"""Bytes that name the codec."""


def encode_state(
    codec: Codec, keep: float, seed: bytes, weights: Vector | None, sizes: list[int]
) -> bytes:
    """Write the codec, and after round 1 the server's weights.

    Args:
        codec: how weights travel.
        keep: share of the changes that topk keeps.
        seed: the encoded seed, from which changes are counted.
        weights: shape ``(parameters,)``; None before the first round has ended.
        sizes: weights of every tensor.
    """
    head = struct.pack(_CODEC, codec.number, keep)
    if weights is None:
        return head
    if codec.sends_changes:
        weights = weights - flat_weights(grow(seed))
    return head + codec.down.encode(weights, sizes)


def read_codec(body: bytes) -> tuple[Codec, bytes]:
    """The codec that the server names, and what follows.

    Raises:
        WireError: truncated, or an unknown codec.
    """
    if len(body) < HEAD_BYTES:
        raise WireError("the download names no codec")
    return codec_of(*struct.unpack_from(_CODEC, body)), body[HEAD_BYTES:]


def build_model(seed: bytes, body: bytes) -> nn.Module:
    """The model that the server's body stands for.

    Raises:
        WireError: malformed bytes, or weights that cannot be believed.
    """
    codec, coded = read_codec(body)
    if not coded:
        return grow(seed)
    vector = codec.down.decode(coded, tensor_sizes(seed))
    if codec.sends_changes:
        vector = vector + flat_weights(grow(seed))
    return grow_with(seed, vector)
