"""The ``adapters`` protocol: low-rank factors on a frozen body (LoRA, FFA-LoRA)."""

from typing import Literal

from pydantic import Field

from fedseed.privacy.protection import DpSgd
from fedseed.protocols.description import Protocol, ProtocolOptions, Style
from fedseed.protocols.rows import BEST, OF_BODY, Row


class AdaptersOptions(ProtocolOptions):
    """Which factors are trained and sent."""

    rank: int = Field(4, ge=1, le=256, description="Rank of the factors.")
    adapter: Literal["ffa", "lora"] = Field(
        "ffa", description="lora sends both factors, ffa one: the other is drawn from the seed's "
        "key."
    )  # fmt: skip
    codec: Literal["fp32", "int8", "int4"] = Field(
        "fp32", description="How factors travel: fp32, or what they have changed in int8 or int4, "
        "with error feedback."
    )  # fmt: skip
    target: Literal["all", "encoder", "attention"] = Field(
        "all", description="Matrices that get factors: all (the word embedding's too, which a "
        "random body needs), those of the encoder, or of its attention alone, as people adapt "
        "published bodies."
    )  # fmt: skip


PROTOCOL = Protocol(
    name="adapters",
    summary="low-rank changes of a frozen seed travel both ways",
    options=AdaptersOptions,
    server="fedseed.protocols.adapters.server:AdaptersServer",
    client="fedseed.protocols.adapters.client:AdaptersClient",
    ends_with="model",
    style=Style("#c2185b", "^", "low-rank factors travelled", "averaged factors"),
    typical_upload=1.1e6,
    sums="factors and head, in proportion to the clients' examples",
    privacy={"example": DpSgd()},
    reveals=frozenset({"model", "word_rows"}),
    rows={
        "adapters": Row(
            "low-rank factors, one frozen", BEST.replace(learning_rate=3e-3), slowdown=1.3,
            body=Row(
                "low-rank factors of the attention, int8 changes",
                OF_BODY.replace(learning_rate=2e-3),
                {"adapter": "lora", "target": "attention", "codec": "int8"}, rounds=3, steps=100,
            ),
        )
    },
)  # fmt: skip
