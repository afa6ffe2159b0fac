"""The ``weights`` protocol: federated averaging of models (McMahan et al. 2017)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from fedseed.privacy.protection import DpSgd, GaussianNoise
from fedseed.protocols.description import Protocol, ProtocolOptions, Style, Sums
from fedseed.protocols.rows import BEST, FROM_WORDS, OF_BODY, USUAL, Row
from fedseed.protocols.weights.strategies import STRATEGIES

_NAMES = list(STRATEGIES)


class WeightsOptions(ProtocolOptions):
    """How weights travel, and how they are aggregated."""

    codec: Literal["fp32", "fp16", "int8", "topk"] = Field(
        "fp32", description="How weights travel: fp32, fp16, int8 or topk; the last two send "
        "changes, with error feedback."
    )  # fmt: skip
    keep: float = Field(
        0.01, gt=0, le=1, description="Share of the changes that --codec topk sends."
    )
    strategy: str = Field(
        "fedavg", description=f"How the server aggregates, by Flower's strategies: "
        f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}."
    )  # fmt: skip

    @field_validator("strategy")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"unknown strategy '{value}': choose from {', '.join(STRATEGIES)}")
        return value

    def without_effect(self) -> Mapping[str, str]:
        """See :class:`ProtocolOptions`."""
        return {} if self.codec == "topk" else {"keep": "--codec topk"}

    def warnings(self, clients: int) -> list[str]:
        """See :class:`ProtocolOptions`."""
        warning = STRATEGIES[self.strategy].warning(self.strategy, clients)
        return [] if warning is None else [warning]


def _refuse_changes(options: WeightsOptions, _: Any) -> None:
    if options.codec not in ("fp32", "fp16"):
        raise ValueError(
            f"--privacy client: --codec {options.codec} sends changes with error feedback: use "
            "fp32 or fp16"
        )


def _add_up(options: WeightsOptions, _: int) -> None:
    if options.codec == "topk":
        raise ValueError("the largest changes are others for each client: use --codec int8")
    if options.strategy not in ("fedavg", "fedadam"):
        raise ValueError(f"--strategy {options.strategy} must see each: use fedavg or fedadam")


PROTOCOL = Protocol(
    name="weights",
    summary="weights travel both ways: federated averaging",
    options=WeightsOptions,
    server="fedseed.protocols.weights.server:WeightsServer",
    client="fedseed.protocols.weights.client:WeightsClient",
    ends_with="model",
    style=Style("#1f5fa8", "P", "weights travelled", "averaged weights"),
    typical_upload=35e6,
    sums=Sums("weights, or their changes, in proportion to the clients' examples", _add_up),
    privacy={
        "example": DpSgd(),
        # Any two changes within the clip are at most twice the clip apart.
        "client": GaussianNoise("the change of weights", 2.0, refuse=_refuse_changes),
    },
    reveals=frozenset({"model", "word_rows", "update"}),
    rows={
        "weights-topk": Row(
            "weights, largest 1 % of changes", BEST, {"codec": "topk"}, main=False, attacked=False
        ),
        "lexicon-weights-int8": Row(
            "a lexicon round, then weights from its seed, int8 changes", FROM_WORDS,
            {"codec": "int8", "start": "lexicon"}, rounds=3, skewed=True, attacked=False,
        ),
        "weights-int8": Row(
            "weights, int8 changes", BEST, {"codec": "int8"}, attacked=False,
            body=Row("weights, int8 changes", OF_BODY, {"codec": "int8"}, steps=100),
        ),
        "weights": Row(
            "weights, fp32", BEST, skewed=True, robustness=("dropout", "poison"), personal=True,
            body=Row("weights, fp32", OF_BODY, steps=100),
        ),
        "weights-usual": Row(
            "weights, fp32, usual start and recipe", USUAL, {"scheme": "bert"}, attacked=False
        ),
        "weights-median": Row(
            "weights, fp32, coordinate-wise median", BEST, {"strategy": "fedmedian"},
            main=False, robustness=("poison",), attacked=False,
        ),
    },
)  # fmt: skip
