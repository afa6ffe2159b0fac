"""The coordinates seed's payload: the start seed's kind and payload, and the coded numbers.

See docs/fseed.md. The generator's key is of the start seed's bytes, so that it costs none.
"""

import struct
from collections.abc import Mapping
from typing import Any

from fedseed.coding.codecs import make_codec
from fedseed.coding.vectors import Vector
from fedseed.errors import SeedError, WireError
from fedseed.models.architecture import Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat, key_of
from fedseed.seeds.codec import assemble, encode
from fedseed.seeds.kinds.coordinates import SEED_KIND
from fedseed.seeds.kinds.coordinates.space import Space
from fedseed.seeds.registry import find_kind, format_of, kind_of_code

_HEAD = "<HBI"
_HEAD_BYTES = struct.calcsize(_HEAD)
CODEC = make_codec("int8", 1.0)
"""Of the numbers in a seed."""


def coordinates_seed(start: Seed, rank: int, coded: bytes) -> Seed:
    """Make a seed of a start and of coded numbers.

    Args:
        start: of any other kind.
        rank: of the cores.
        coded: the numbers, by :data:`CODEC`.

    Raises:
        SeedError: the start is itself of this kind.
    """
    if start.kind == SEED_KIND.name:
        raise SeedError("a coordinates seed starts from a seed of another kind")
    code = find_kind(start.kind).code
    head = struct.pack(_HEAD, rank, code, len(start.payload))
    return Seed(SEED_KIND.name, start.model, start.labels, head + start.payload + coded)


def _read(payload: bytes) -> tuple[int, str, bytes, bytes]:
    """Rank, the start's kind and payload, and the coded numbers."""
    if len(payload) < _HEAD_BYTES:
        raise SeedError("the coordinates seed is truncated")
    rank, code, length = struct.unpack_from(_HEAD, payload)
    end = _HEAD_BYTES + length
    if len(payload) < end:
        raise SeedError("the coordinates seed is truncated")
    kind = kind_of_code(code).name
    if kind == SEED_KIND.name:
        raise SeedError("a coordinates seed starts from a seed of another kind: make it again")
    return rank, kind, payload[_HEAD_BYTES:end], payload[end:]


def _parts(seed: Seed, shapes: Shapes) -> tuple[Seed, Space, Vector]:
    rank, kind, start, coded = _read(seed.payload)
    space = Space.of(shapes, rank)
    try:
        vector = CODEC.decode(coded, space.parts.sizes)
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
        return {"rank, and the start's kind and length": _HEAD_BYTES, "coordinates": coded} | parts

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        rank, kind, start, coded = _read(payload)
        about = {f"start_{name}": value for name, value in format_of(kind).describe(start).items()}
        return {"rank": rank, "coordinates_bytes": len(coded), "start": kind} | about
