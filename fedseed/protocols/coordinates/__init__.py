"""The ``coordinates`` protocol: a few numbers of a space that the seed's key spans travel."""

from typing import Literal

from pydantic import Field

from fedseed.protocols.description import Protocol, ProtocolOptions, Style
from fedseed.protocols.rows import BEST, OF_BODY, Row
from fedseed.seeds.kinds.coordinates import LARGEST_RANK


class CoordinatesOptions(ProtocolOptions):
    """How many numbers are trained, and how they travel."""

    rank: int = Field(
        16, ge=1, le=LARGEST_RANK, description="Rows and columns of the trained core that every "
        "matrix of the encoder has."
    )  # fmt: skip
    codec: Literal["int8", "int4", "int3"] = Field(
        "int3", description="Bits of a change on its way up, before entropy coding; what they "
        "lose is sent with the next one (error feedback)."
    )  # fmt: skip


def _row(rank: int) -> Row:
    words, options = f"cores of rank {rank}, int4 changes", {"rank": rank}
    body = Row(words, OF_BODY.replace(learning_rate=4e-3), options, rounds=3, steps=100)
    return Row(words, BEST.replace(learning_rate=4e-3), options, attacked=False, body=body)


PROTOCOL = Protocol(
    name="coordinates",
    summary="a few numbers of a space that the seed's key spans travel both ways",
    options=CoordinatesOptions,
    server="fedseed.protocols.coordinates.server:CoordinatesServer",
    client="fedseed.protocols.coordinates.client:CoordinatesClient",
    ends_with="seed",
    style=Style("#6a3d9a", "X", "coordinates travelled", "seed of all coordinates"),
    typical_upload=16e3,
    sums="changes of the numbers, in proportion to the clients' examples",
    reveals=frozenset({"model"}),
    rows={f"coordinates-{rank}": _row(rank) for rank in (8, 16, 32)},
)
