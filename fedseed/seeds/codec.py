"""The .fseed format: seeds as bytes. ``docs/fseed.md`` is the specification."""

import hashlib
from pathlib import Path

from fedseed.errors import SeedError
from fedseed.files import write_bytes
from fedseed.models.architecture import Shapes, State
from fedseed.seeds.base import Seed
from fedseed.seeds.package import MAGIC as PACKAGE
from fedseed.seeds.package import decode_package
from fedseed.seeds.registry import find_kind, format_of, kind_of_code

MAGIC = b"FSED"
MAX_PAYLOAD = 1 << 28
"""Longest payload, bytes; checked before anything is read or allocated."""

_MODEL_CODES = {"bert-tiny": 1, "bert-mini": 2, "bert-small": 3, "minilm": 4, "gpt2-tiny": 5}
_HEADER = len(MAGIC) + 4
_CHECKSUMS = {1: 32, 2: 8}
"""Bytes of the checksum in each version of the format: the first of a sha256."""


def encode(seed: Seed) -> bytes:
    """Return the seed's bytes, checksum included."""
    kind = find_kind(seed.kind)
    code = _MODEL_CODES.get(seed.model, 0)
    name = b"" if code else seed.model.encode()
    if seed.labels == 1 or not 0 <= seed.labels <= 255:
        raise SeedError("a seed has 2 to 255 classes, or 0 for a causal language model")
    if len(name) > 255 or len(seed.payload) > MAX_PAYLOAD:
        raise SeedError("a seed has a model name of at most 255 bytes and at most 256 MiB")
    body = MAGIC + bytes([kind.file_version, kind.code, seed.labels, code])
    if not code:
        body += bytes([len(name)]) + name
    body += _varint(len(seed.payload)) + seed.payload
    return body + _checksum(body, kind.file_version)


def _checksum(body: bytes, version: int) -> bytes:
    return hashlib.sha256(body).digest()[: _CHECKSUMS[version]]


def decode(data: bytes) -> Seed:
    """Read a seed's bytes; nothing in them is believed before it is checked.

    Raises:
        SeedError: truncated, altered, of an unknown version or kind, or not canonical.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise SeedError("these bytes are no seed (they do not start with FSED)")
    if len(data) < _HEADER + 1 + min(_CHECKSUMS.values()):
        raise SeedError("the seed is truncated")
    version, kind_code, labels, model_code = data[len(MAGIC) : _HEADER]
    if version not in _CHECKSUMS:
        known = " and ".join(map(str, _CHECKSUMS))
        raise SeedError(f"the seed has format version {version}, this program reads {known}")
    end = len(data) - _CHECKSUMS[version]
    body, checksum = data[:end], data[end:]
    if len(body) <= _HEADER or _checksum(body, version) != checksum:
        raise SeedError("the seed is truncated or altered (its checksum does not fit)")
    kind = kind_of_code(kind_code)
    model, place = _read_model(body, model_code)
    length, place = _read_varint(body, place)
    if length > MAX_PAYLOAD or place + length != len(body):
        raise SeedError("the seed's length does not fit its header")
    seed = Seed(kind.name, model, labels, body[place:])
    format_of(kind.name).describe(seed.payload)
    if encode(seed) != data:
        raise SeedError("the seed's bytes are not in canonical form")
    return seed


def assemble(seed: Seed, shapes: Shapes) -> State:
    """Return all weights of the seed's model.

    Raises:
        SeedError: the seed does not fit the architecture.
    """
    return format_of(seed.kind).assemble(seed, shapes)


def sizes(seed: Seed, shapes: Shapes) -> dict[str, float]:
    """Bytes of an encoded seed's parts; their sum is its length, see :meth:`SeedFormat.sizes`.

    Raises:
        SeedError: the seed does not fit the architecture.
    """
    parts = format_of(seed.kind).sizes(seed, shapes)
    return {"header and checksum": len(encode(seed)) - len(seed.payload)} | parts


def expected_errors(seed: Seed, shapes: Shapes) -> dict[str, float]:
    """Relative reconstruction errors that a seed itself states, by the tensor's name."""
    return format_of(seed.kind).expected_errors(seed, shapes)


def describe(seed: Seed) -> dict[str, object]:
    """Return what a seed says, for people and for the record."""
    about: dict[str, object] = {"kind": seed.kind, "model": seed.model, "labels": seed.labels}
    return about | dict(format_of(seed.kind).describe(seed.payload))


def write_seed(path: Path, seed: Seed) -> None:
    """Write a .fseed file, whole or not at all."""
    write_bytes(path, encode(seed))


def read_seed(path: Path) -> Seed:
    """Read a .fseed file, or the seed in a package.

    Raises:
        SeedError: the file cannot be read or is no valid seed.
    """
    try:
        if path.stat().st_size > MAX_PAYLOAD + 1024:
            raise SeedError(f"{path} is too large to be a seed: give a .fseed file")
        data = path.read_bytes()
    except OSError as error:
        raise SeedError(f"cannot read the seed {path}: {error.strerror}") from error
    try:
        return decode(decode_package(data).seed if data.startswith(PACKAGE) else data)
    except SeedError as error:
        raise SeedError(f"{path}: {error}; make it again or fetch it again") from error


def _varint(number: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        if place >= len(data):
            raise SeedError("the seed is truncated")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise SeedError("the seed's length field is malformed")


def _read_model(body: bytes, code: int) -> tuple[str, int]:
    for name, known in _MODEL_CODES.items():
        if known == code:
            return name, _HEADER
    if code != 0:
        raise SeedError(f"the seed's model number {code} is unknown to this version")
    end = _HEADER + 1 + body[_HEADER]
    try:
        return body[_HEADER + 1 : end].decode(), end
    except UnicodeDecodeError as error:
        raise SeedError("the seed's model name is not UTF-8") from error
