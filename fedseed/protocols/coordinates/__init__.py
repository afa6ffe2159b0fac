"""The ``coordinates`` protocol: a few numbers of a space that the seed's key spans travel."""

from typing import Literal

from pydantic import Field

from fedseed.protocols.description import Protocol, ProtocolOptions, Style, Sums
from fedseed.protocols.rows import BEST, OF_BODY, USUAL, Row
from fedseed.seeds.kinds.coordinates import LARGEST_RANK


class CoordinatesOptions(ProtocolOptions):
    """How many numbers are trained, and how they travel."""

    rank: int = Field(
        16, ge=1, le=LARGEST_RANK, description="Rows and columns of the trained core that every "
        "matrix of the encoder has."
    )  # fmt: skip
    codec: Literal["int8", "int4", "int3"] = Field(
        "int3", description="Bits of a number on its way, before entropy coding; what they lose "
        "on the way up is sent with the next change (error feedback)."
    )  # fmt: skip


_RECIPE = BEST.replace(learning_rate=4e-3)


def _row(rank: int, body_rank: int, main: bool) -> Row:
    """A row of about so many bytes up a round, which takes other ranks on a body."""
    words = "cores of rank {}, changes of 3 bits"
    body = Row(
        words.format(body_rank), OF_BODY.replace(learning_rate=4e-3), {"rank": body_rank},
        steps=100,
    )  # fmt: skip
    return Row(words.format(rank), _RECIPE, {"rank": rank}, main=main, attacked=False, body=body)


_SIZES = {"1k": (13, 7), "4k": (32, 18), "16k": (64, 38)}
"""Ranks of bert-tiny and of minilm, by what a client sends in a round."""


PROTOCOL = Protocol(
    name="coordinates",
    summary="a few numbers of a space that the seed's key spans travel both ways",
    options=CoordinatesOptions,
    server="fedseed.protocols.coordinates.server:CoordinatesServer",
    client="fedseed.protocols.coordinates.client:CoordinatesClient",
    ends_with="seed",
    style=Style("#e0662b", "X", "coordinates travelled", "seed of all coordinates"),
    typical_upload=16e3,
    sums=Sums("changes of the numbers, in proportion to the clients' examples"),
    reveals=frozenset({"model"}),
    rows={
        "lexicon-coordinates-4k": Row(
            "a lexicon round, then cores of rank 32 from its seed, changes of 3 bits",
            USUAL, {"rank": 32, "start": "lexicon"}, rounds=3, main=False, attacked=False,
        ),
        **{f"coordinates-{size}": _row(*ranks, size == "4k") for size, ranks in _SIZES.items()},
    },
)  # fmt: skip
