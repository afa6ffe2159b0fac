"""The ``adapters`` protocol: low-rank factors on a frozen body (LoRA, FFA-LoRA)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fedseed.models.roles import Target
from fedseed.privacy.protection import DpSgd
from fedseed.protocols.description import Protocol, ProtocolOptions, Style, Sums
from fedseed.protocols.rows import BEST, OF_BODY, Row


class AdaptersOptions(ProtocolOptions):
    """Which factors are trained and sent."""

    def without_effect(self) -> Mapping[str, str]:
        """See :class:`ProtocolOptions`."""
        needed = "a --target that has factors, not head"
        return dict.fromkeys(("rank", "adapter"), needed) if self.target == "head" else {}

    rank: int = Field(4, ge=1, le=256, description="Rank of the factors.")
    adapter: Literal["ffa", "lora"] = Field(
        "ffa", description="lora sends both factors, ffa one: the other is drawn from the seed's "
        "key."
    )  # fmt: skip
    codec: Literal["fp32", "int8", "int4", "int3"] = Field(
        "fp32", description="How factors travel: fp32, or what they have changed in 8, 4 or 3 bits "
        "before entropy coding, with error feedback."
    )  # fmt: skip
    target: Target = Field(
        "all", description="Matrices that get factors: all (the word embedding's too, which a "
        "random body needs), those of the encoder, of its attention alone, as people adapt "
        "published bodies, or head: none, so that the body's features are computed once."
    )  # fmt: skip


def _of_attention(words: str, **options: Any) -> Row:
    """A row on a body, as people adapt one."""
    recipe = OF_BODY.replace(learning_rate=3e-3)
    own = {"adapter": "lora", "target": "attention", **options}
    return Row(words, recipe, own, steps=100)


PROTOCOL = Protocol(
    name="adapters",
    summary="low-rank changes of a frozen seed travel both ways",
    options=AdaptersOptions,
    server="fedseed.protocols.adapters.server:AdaptersServer",
    client="fedseed.protocols.adapters.client:AdaptersClient",
    ends_with="model",
    style=Style("#c2185b", "^", "low-rank factors travelled", "averaged factors"),
    typical_upload=1.1e6,
    sums=Sums("factors and head, in proportion to the clients' examples"),
    privacy={"example": DpSgd()},
    reveals=frozenset({"model", "word_rows"}),
    rows={
        "head": Row(
            "the head alone, fp32", BEST.replace(learning_rate=3e-3), {"target": "head"},
            main=False, attacked=False,
            body=Row(
                "the head alone on frozen features, fp32", OF_BODY.replace(learning_rate=1e-2),
                {"target": "head"}, steps=100,
            ),
        ),
        "adapters-int3": Row(
            "low-rank factors, changes of 3 bits", BEST.replace(learning_rate=3e-3),
            {"adapter": "lora", "rank": 3, "codec": "int3"}, slowdown=1.3, main=False,
            attacked=False, body=_of_attention(
                "low-rank factors of the attention, changes of 3 bits", rank=3, codec="int3"
            ),
        ),
        "adapters": Row(
            "low-rank factors, one frozen", BEST.replace(learning_rate=3e-3), slowdown=1.3,
            body=_of_attention("low-rank factors of the attention, int8 changes", codec="int8"),
        ),
    },
)  # fmt: skip
