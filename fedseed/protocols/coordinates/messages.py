"""The body that goes down under ``coordinates``: rank, codec, and the server's numbers."""

import struct

from fedseed.coding.codecs import CODECS, Codec, codec_of
from fedseed.errors import SeedError, WireError
from fedseed.seeds.codec import decode, encode
from fedseed.seeds.kinds.coordinates.format import coordinates_seed

_HEAD = "<HB"
HEAD_BYTES = struct.calcsize(_HEAD)
_CODES = [CODECS.index(name) for name in ("int8", "int4", "int3")]


def encode_state(rank: int, codec: Codec, coded: bytes) -> bytes:
    """Write a body.

    Args:
        rank: of the cores.
        codec: of what goes up.
        coded: the server's numbers; empty before the first round has ended.
    """
    return struct.pack(_HEAD, rank, codec.number) + coded


def decode_state(body: bytes) -> tuple[int, Codec, bytes]:
    """Read a body; see :func:`encode_state`.

    Raises:
        WireError: malformed bytes, or a codec that is not known here.
    """
    if len(body) < HEAD_BYTES:
        raise WireError("the download names no coordinates")
    rank, code = struct.unpack_from(_HEAD, body)
    if code not in _CODES:
        raise WireError(f"codec {code} is not one of coordinates")
    return rank, codec_of(code, 1.0), body[HEAD_BYTES:]


def seed_of(start: bytes, rank: int, coded: bytes) -> bytes:
    """The coordinates seed of an encoded start seed and of coded numbers, encoded."""
    return encode(coordinates_seed(decode(start), rank, coded))


def seed_of_download(start: bytes, body: bytes) -> bytes:
    """The seed that a body stands for: the start before the first round has ended.

    Raises:
        WireError: the body is malformed, or not for this start.
    """
    rank, _, coded = decode_state(body)
    try:
        return seed_of(start, rank, coded) if coded else start
    except SeedError as error:
        raise WireError(str(error)) from error
