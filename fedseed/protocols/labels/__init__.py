"""The ``labels`` protocol: federated distillation through labels of public texts."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from fedseed.privacy.protection import DpSgd, RandomisedResponse
from fedseed.protocols.description import Protocol, ProtocolOptions, Style, Sums
from fedseed.protocols.rows import ALONE, Row

BITS = (1, 2, 4, 8)
"""Bits that a soft label may have."""
_QUICKER = ALONE.replace(learning_rate=1e-3, embedding_multiplier=3.0)
"""What the comparison trained with before a lower rate was found better there."""
_SENTENCES = {"public": "sentences", "distil_steps": 600}


class LabelsOptions(ProtocolOptions):
    """Which texts are labelled, how finely, and how a model is made of the labels."""

    small_of_bodies: ClassVar[Mapping[str, Any]] = {"public": "reviews:200", "distil_steps": 10}

    public: str = Field(
        "sentences", description="Unlabelled texts that server and clients share: sentences "
        "(8,530 of Rotten Tomatoes, installed with the package), sentences:N (the first N), "
        "reviews:N (N training texts set aside) or a UTF-8 file of one text a line."
    )  # fmt: skip
    label_bits: int = Field(1, description="Bits of a soft label, 1, 2, 4 or 8.")
    distil_steps: int = Field(
        500, ge=1, le=1_000_000, description="Steps on the public texts by which a model is made "
        "of labels."
    )  # fmt: skip

    @field_validator("label_bits")
    @classmethod
    def _is_known(cls, value: int) -> int:
        if value not in BITS:
            raise ValueError("give 1, 2, 4 or 8")
        return value

    @property
    def public_texts(self) -> str | None:
        """See :class:`ProtocolOptions`."""
        return self.public


def _refuse(options: LabelsOptions, privacy: Any) -> None:
    if options.label_bits != 1:
        raise ValueError("--privacy client randomises labels of one bit: leave out --label-bits")
    if privacy.noise is not None:
        raise ValueError(
            "--noise: labels are protected by randomised response, not by noise: give --epsilon"
        )


PROTOCOL = Protocol(
    name="labels",
    summary="soft labels of public texts travel: federated distillation",
    options=LabelsOptions,
    server="fedseed.protocols.labels.server:LabelsServer",
    client="fedseed.protocols.labels.client:LabelsClient",
    ends_with="model",
    style=Style("#2e7d32", "o", "labels of public texts travelled", "made of labels"),
    typical_upload=1100,
    sums=Sums("labels of every public text; all clients count alike"),
    privacy={"example": DpSgd(), "client": RandomisedResponse(refuse=_refuse)},
    reveals=frozenset({"model"}),
    rows={
        "labels": Row(
            "1-bit labels of public sentences, one shot", ALONE, _SENTENCES, steps=120,
            rounds=1, skewed=True, robustness=("dropout", "poison"), personal=True,
            attacked_recipe=_QUICKER, attacked_options={"distil_steps": 200},
        ),
        "labels-rounds": Row(
            "1-bit labels of public sentences, several rounds", ALONE, _SENTENCES, main=False,
            attacked=False,
        ),
        "labels-reviews": Row(
            "1-bit labels of 5,000 reviews set aside, one shot", ALONE,
            {"public": "reviews:5000", "distil_steps": 600}, steps=120, rounds=1, main=False,
            attacked=False,
        ),
    },
)  # fmt: skip
