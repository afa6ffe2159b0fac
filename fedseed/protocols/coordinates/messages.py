"""The body that goes down under ``coordinates``: rank, codec, and the server's numbers."""

import struct

from fedseed.coding.codecs import codec_of
from fedseed.errors import SeedError, WireError
from fedseed.seeds.codec import decode, encode
from fedseed.seeds.kinds.coordinates.format import CODES, Coded, coordinates_seed

_HEAD = "<HB"
HEAD_BYTES = struct.calcsize(_HEAD)


def encode_state(coded: Coded) -> bytes:
    """Write a body; its numbers are empty before the first round has ended."""
    return struct.pack(_HEAD, coded.rank, coded.codec.number) + coded.numbers


def decode_state(body: bytes) -> Coded:
    """Read a body; see :func:`encode_state`.

    Raises:
        WireError: malformed bytes, or a codec that is not known here.
    """
    if len(body) < HEAD_BYTES:
        raise WireError("the download names no coordinates")
    rank, code = struct.unpack_from(_HEAD, body)
    if code not in CODES:
        raise WireError(f"codec {code} is not one of coordinates")
    return Coded(rank, codec_of(code, 1.0), body[HEAD_BYTES:])


def seed_of(start: bytes, coded: Coded) -> bytes:
    """The coordinates seed of an encoded start seed and of coded numbers, encoded."""
    return encode(coordinates_seed(decode(start), coded))


def seed_of_download(start: bytes, body: bytes) -> bytes:
    """The seed that a body stands for: the start before the first round has ended.

    Raises:
        WireError: the body is malformed, or not for this start.
    """
    coded = decode_state(body)
    try:
        return seed_of(start, coded) if coded.numbers else start
    except SeedError as error:
        raise WireError(str(error)) from error
