"""The ``scalars`` protocol: zeroth-order training, of which only scalars travel (FedKSeed)."""

from typing import Literal

from pydantic import Field

from fedseed.protocols.description import Protocol, ProtocolOptions, Style
from fedseed.protocols.rows import USUAL, Row

TRAINABLE = ("all", "head")
"""What is trained, in the order of the numbers on the wire."""


class ScalarsOptions(ProtocolOptions):
    """Along how many directions, and which weights."""

    perturbations: int = Field(
        64, ge=1, le=65_535, description="Number of directions that may be walked."
    )
    trainable: Literal["all", "head"] = Field(
        "all", description="all weights or the classification head alone."
    )


_RECIPE = USUAL.replace(learning_rate=1e-4)


PROTOCOL = Protocol(
    name="scalars",
    summary="projected gradients along directions that a seed spans travel",
    options=ScalarsOptions,
    server="fedseed.protocols.scalars.server:ScalarsServer",
    client="fedseed.protocols.scalars.client:ScalarsClient",
    ends_with="model",
    style=Style("#8c564b", "v", "projected gradients travelled", "walked directions"),
    typical_upload=420,
    reveals=frozenset({"model", "word_rows"}),
    rows={
        "scalars": Row(
            "projected gradients along 64 directions", _RECIPE, steps=40, slowdown=0.8,
            body=Row("projected gradients along 64 directions", _RECIPE, steps=40, slowdown=0.8),
        )
    },
)  # fmt: skip
