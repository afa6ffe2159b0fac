"""What travels between a client and the server of a sum: parts by client, and lists of clients.

A map of parts is their number, then each client's number and its part's length, then the parts; all
numbers are u32, little endian. ``docs/decisions/secure-aggregation.md`` has the stages.
"""

import struct
from collections.abc import Collection, Mapping

import numpy as np

from fedseed.coding.vectors import Words
from fedseed.errors import WireError

_NUMBER = struct.Struct("<I")
_ENTRY = struct.Struct("<II")
_MOST_CLIENTS = 100_000


def encode_parts(parts: Mapping[int, bytes]) -> bytes:
    """Bytes of a part for each of some clients."""
    heads = [_ENTRY.pack(number, len(part)) for number, part in parts.items()]
    return b"".join([_NUMBER.pack(len(parts)), *heads, *parts.values()])


def split_parts(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """Read a map of parts, and what follows it.

    Raises:
        WireError: malformed bytes, or two parts of one client.
    """
    count, place = _number(data, 0), _NUMBER.size
    if count > _MOST_CLIENTS or len(data) < place + count * _ENTRY.size:
        raise WireError("secure aggregation: a map of parts is truncated")
    heads = [_ENTRY.unpack_from(data, place + n * _ENTRY.size) for n in range(count)]
    place += count * _ENTRY.size
    parts: dict[int, bytes] = {}
    for number, length in heads:
        if number in parts or len(data) < place + length:
            raise WireError("secure aggregation: a map of parts is malformed")
        parts[number], place = data[place : place + length], place + length
    return parts, data[place:]


def decode_parts(data: bytes) -> dict[int, bytes]:
    """Read a map of parts that nothing follows.

    Raises:
        WireError: malformed bytes.
    """
    parts, rest = split_parts(data)
    if rest:
        raise WireError("secure aggregation: a map of parts is too long")
    return parts


def encode_keys(threshold: int, keys: Mapping[int, bytes]) -> bytes:
    """Bytes of the neighbours' keys, and of the shares that give a secret back."""
    return _NUMBER.pack(threshold) + encode_parts(keys)


def decode_keys(data: bytes) -> tuple[int, dict[int, bytes]]:
    """Read what :func:`encode_keys` wrote.

    Raises:
        WireError: malformed bytes.
    """
    return _number(data, 0), decode_parts(data[_NUMBER.size :])


def encode_question(survivors: Collection[int], lost: Collection[int]) -> bytes:
    """Bytes of the clients whose masks are to be taken off, one way or the other."""
    return encode_parts(dict.fromkeys(sorted(survivors), b"") | dict.fromkeys(sorted(lost), b"-"))


def decode_question(data: bytes) -> tuple[set[int], set[int]]:
    """Read what :func:`encode_question` wrote.

    Raises:
        WireError: malformed bytes.
    """
    parts = decode_parts(data)
    if not set(parts.values()) <= {b"", b"-"}:
        raise WireError("secure aggregation: a question is malformed")
    lost = {number for number, part in parts.items() if part}
    return parts.keys() - lost, lost


def encode_words(words: Words) -> bytes:
    """Bytes of a vector, 4 for each number."""
    return bytes(words.astype("<u4").tobytes())


def decode_words(data: bytes) -> Words:
    """Read a vector; bytes that are none give an empty one."""
    return np.frombuffer(data[: len(data) // 4 * 4], "<u4").astype(np.uint32)


def _number(data: bytes, place: int) -> int:
    if len(data) < place + _NUMBER.size:
        raise WireError("secure aggregation: the message is truncated")
    return int(_NUMBER.unpack_from(data, place)[0])
