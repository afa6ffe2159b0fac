"""The coordinates seed's payload: the start seed's kind and payload, and the coded numbers.

See docs/fseed.md. The generator's key is of the start seed's bytes, so that it costs none.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedseed.coding.codecs import CODECS, Codec, codec_of
from fedseed.coding.vectors import Vector
from fedseed.errors import SeedError, WireError
from fedseed.models.architecture import Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat, key_of
from fedseed.seeds.codec import assemble, encode
from fedseed.seeds.kinds.coordinates import SEED_KIND
from fedseed.seeds.kinds.coordinates.space import Space
from fedseed.seeds.registry import find_kind, format_of, kind_of_code

_HEAD = "<HBBI"
_HEAD_BYTES = struct.calcsize(_HEAD)
CODES = [CODECS.index(name) for name in ("int8", "int4", "int3")]
"""Numbers of the codecs that coordinates may have."""


@dataclass(frozen=True)
class Coded:
    """The numbers of a space, as they travel."""

    rank: int
    codec: Codec
    numbers: bytes
    """Coded, each part of the space a tensor."""

    def vector(self, space: Space) -> Vector:
        """Read the numbers.

        Raises:
            WireError: malformed bytes, or values that cannot be believed.
        """
        return self.codec.decode(self.numbers, space.parts.sizes)


def coordinates_seed(start: Seed, coded: Coded) -> Seed:
    """Make a seed of a start and of coded numbers.

    Args:
        start: of any other kind.
        coded: the numbers.

    Raises:
        SeedError: the start is itself of this kind.
    """
    if start.kind == SEED_KIND.name:
        raise SeedError("a coordinates seed starts from a seed of another kind")
    code = find_kind(start.kind).code
    head = struct.pack(_HEAD, coded.rank, coded.codec.number, code, len(start.payload))
    payload = head + start.payload + coded.numbers
    return Seed(SEED_KIND.name, start.model, start.labels, payload)


def _read(payload: bytes) -> tuple[str, bytes, Coded]:
    """The start's kind and payload, and the coded numbers."""
    if len(payload) < _HEAD_BYTES:
        raise SeedError("the coordinates seed is truncated")
    rank, codec, code, length = struct.unpack_from(_HEAD, payload)
    end = _HEAD_BYTES + length
    if len(payload) < end:
        raise SeedError("the coordinates seed is truncated")
    if codec not in CODES:
        raise SeedError(f"the coordinates seed's codec {codec} is unknown to this version")
    kind = kind_of_code(code).name
    if kind == SEED_KIND.name:
        raise SeedError("a coordinates seed starts from a seed of another kind: make it again")
    return kind, payload[_HEAD_BYTES:end], Coded(rank, codec_of(codec, 1.0), payload[end:])


def _parts(seed: Seed, shapes: Shapes) -> tuple[Seed, Space, Vector]:
    kind, start, coded = _read(seed.payload)
    space = Space.of(shapes, coded.rank)
    try:
        vector = coded.vector(space)
    except WireError as error:
        raise SeedError(f"the coordinates seed is damaged ({error}): fetch it again") from error
    return Seed(kind, seed.model, seed.labels, start), space, vector


class CoordinatesFormat(SeedFormat):
    """Assembles the start seed's model, and moves it."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`; there is nothing that it could be made of."""
        del material
        raise SeedError("a coordinates seed is what rounds of --protocol coordinates end with")

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        start, space, vector = _parts(seed, shapes)
        return space.moved(assemble(start, shapes), vector, key_of(encode(start)))

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:
        """See :class:`SeedFormat`: the numbers are coded as one."""
        start, _, _ = _parts(seed, shapes)
        coded = len(seed.payload) - _HEAD_BYTES - len(start.payload)
        parts = format_of(start.kind).sizes(start, shapes)
        return {"rank, codec, start's kind and length": _HEAD_BYTES, "coordinates": coded} | parts

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        kind, start, coded = _read(payload)
        about = {f"start_{name}": value for name, value in format_of(kind).describe(start).items()}
        size = {"codec": CODECS[coded.codec.number], "coordinates_bytes": len(coded.numbers)}
        return {"rank": coded.rank, **size, "start": kind} | about
