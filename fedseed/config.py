"""RunConfig: every option of a federated run, validated when it is made.

The command line, a TOML file and Flower's flat ``run_config`` all map to it, and only here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from fedseed.data.options import ShardOptions
from fedseed.options import refuse_no_path
from fedseed.privacy.rules import refuse_impossible_privacy
from fedseed.protocols import OPTIONS, PROTOCOLS, STRATEGIES
from fedseed.recipe import Recipe
from fedseed.recipe_search.names import AGGREGATOR_NAMES

Cell = bool | float | int | str


class RunConfig(ShardOptions):
    """A federated run. Field descriptions are the command line's help texts."""

    execution: ClassVar[frozenset[str]] = frozenset({"engine", "workers"})
    small: ClassVar[Mapping[str, Any]] = {
        "clients": 4, "newcomers": 1, "rounds": 2, "steps": 15, "test_examples": 500,
        "participants_test_examples": 200,
    }  # fmt: skip

    rounds: int = Field(3, ge=1, le=100_000, description="Rounds of training.")
    cohort: int | None = Field(
        None, ge=1, description="Clients drawn for each round; without it all of them."
    )
    protocol: str = Field(
        "recipe", description="What travels: recipe, weights, adapters, labels, scalars or mask."
    )
    scheme: Literal["bert", "scaled"] = Field(
        "scaled", description="Initialisation scheme of a random seed: bert or scaled."
    )
    seed_file: str | None = Field(
        None, description="A .fseed file to broadcast instead of a new seed."
    )
    recipe: str | None = Field(
        None, description="The given recipe, a TOML file; without it the seed documents' recipe "
        "(Adam, 2e-5, 30 steps of 32)."
    )  # fmt: skip
    steps: int = Field(
        90, ge=1, le=1_000_000, description="Step budget of a client in one round, optimiser steps."
    )
    recipes_per_client: int = Field(
        1, ge=1, le=50, description="Recipes a client tries in one round; they share its steps."
    )
    aggregator: str = Field(
        "log-mean", description="How recipes are aggregated: log-mean, halving or fedex."
    )
    drop_rate: float = Field(
        0.0, ge=0, le=1, description="Probability that a client's reply is lost, each round."
    )
    min_clients: int = Field(
        1, ge=1, description="Fewest believable replies a round may have before the run ends."
    )
    test_every: int | None = Field(
        None, ge=1, description="Test the server's model on the common test split after every "
        "so many rounds, under a protocol in which the server has one."
    )  # fmt: skip
    codec: Literal["fp32", "fp16", "int8", "topk"] | None = Field(
        None, description="weights: how they travel, fp32, fp16, int8 or topk; the last two send "
        "changes, with error feedback. Without it fp32."
    )  # fmt: skip
    keep: float | None = Field(
        None, gt=0, le=1, description="weights with topk: share of the changes that is sent; "
        "without it 0.01."
    )  # fmt: skip
    strategy: str | None = Field(
        None, description="weights: how the server aggregates, by Flower's strategies: "
        "fedavg, fedadam, fedmedian, fedtrimmedavg, krum or multikrum. Without it fedavg."
    )  # fmt: skip
    rank: int | None = Field(
        None, ge=1, le=256, description="adapters: rank of the factors; without it 4."
    )
    adapter: Literal["ffa", "lora"] | None = Field(
        None, description="adapters: lora sends both factors, ffa one (the other is drawn from the "
        "seed's key). Without it ffa."
    )  # fmt: skip
    public: str | None = Field(
        None, description="labels: unlabelled texts that server and clients share: sentences "
        "(8,530 of Rotten Tomatoes, installed with the package), reviews:N (N training texts set "
        "aside) or a UTF-8 file of one text a line. Without it sentences."
    )  # fmt: skip
    label_bits: int | None = Field(
        None, description="labels: bits of a soft label, 1, 2, 4 or 8; without it 1."
    )
    distil_steps: int | None = Field(
        None, ge=1, le=1_000_000, description="labels: steps on the public texts by which a model "
        "is made of labels; without it 500."
    )  # fmt: skip
    perturbations: int | None = Field(
        None, ge=1, le=65_535, description="scalars: number of directions that may be walked; "
        "without it 64."
    )  # fmt: skip
    trainable: Literal["all", "head"] | None = Field(
        None, description="scalars: all weights or the classification head alone; without it all."
    )
    privacy: Literal["example", "client"] | None = Field(
        None, description="What differential privacy protects: one example of a client (DP-SGD), "
        "or all of a client's (noise on what it sends)."
    )  # fmt: skip
    epsilon: float | None = Field(
        None, gt=0, le=1e6, description="privacy: the budget of a whole run, for each client. "
        "Without --noise the noise is calibrated to it; with it the run ends before a round that "
        "would spend more."
    )  # fmt: skip
    delta: float | None = Field(
        None, gt=0, lt=1, description="privacy: delta of the budget; without it 1e-5."
    )
    clip: float | None = Field(
        None, gt=0, le=1e6, description="privacy: largest L2 norm of an example's gradient, or of "
        "a client's change of the weights."
    )  # fmt: skip
    noise: float | None = Field(
        None, ge=0, le=1e6, description="privacy: noise multiplier, the standard deviation in "
        "units of the clip (recipe: of the range of a score)."
    )  # fmt: skip
    metric_digits: int | None = Field(
        None, ge=0, le=6, description="recipe: clients round the losses and accuracies that they "
        "send to so many decimals."
    )  # fmt: skip
    metric_threshold: int | None = Field(
        None, ge=1, description="recipe: a client with fewer validation examples than this "
        "answers nothing usable."
    )  # fmt: skip
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$", description="auto, cpu, cuda or cuda:1; "
        "on a GPU clients train together as one stacked model."
    )  # fmt: skip
    compile: bool = Field(
        False, description="Pass models outside the BERT family through torch.compile: a start "
        "of half a minute, kept in its cache, for faster steps."
    )  # fmt: skip
    engine: Literal["local", "ray"] = Field(
        "local", description="local (in process or worker processes) or ray (Flower's simulation)."
    )
    client_timeout: float | None = Field(
        None, gt=0, description="Seconds a client may take in one round; then it is left out."
    )

    @field_validator("recipe", "seed_file")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        return refuse_no_path(value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for option, value, known in (
            ("protocol", self.protocol, PROTOCOLS),
            ("aggregator", self.aggregator, AGGREGATOR_NAMES),
            ("strategy", self.strategy or "fedavg", STRATEGIES),
        ):
            if value not in known:
                raise ValueError(f"unknown {option} '{value}': choose from {', '.join(known)}")
        self._refuse_foreign_options()
        refuse_impossible_privacy(self)
        if self.label_bits not in (None, 1, 2, 4, 8):
            raise ValueError("--label-bits: give 1, 2, 4 or 8")
        if self.min_clients > self.cohort_size:
            raise ValueError("--min-clients is larger than --clients or --cohort: lower it")
        if self.cohort_size > self.clients:
            raise ValueError("--cohort is larger than --clients: lower it")
        if self.steps < self.recipes_per_client:
            raise ValueError("--recipes-per-client is larger than --steps: lower it")
        return self

    def _refuse_foreign_options(self) -> None:
        """Refuse options of other protocols than the one chosen."""
        own = OPTIONS[self.protocol]
        for protocol, options in OPTIONS.items():
            for option in options:
                if option not in own and getattr(self, option) is not None:
                    raise ValueError(
                        f"--{option.replace('_', '-')} is an option of protocol {protocol}, not "
                        f"{self.protocol}: leave it out"
                    )

    def protocol_options(self) -> dict[str, Any]:
        """The protocol's own options, as given or by default."""
        return {
            name: default if getattr(self, name) is None else getattr(self, name)
            for name, default in OPTIONS[self.protocol].items()
        }

    @property
    def public_texts(self) -> str | None:
        """See :class:`ShardOptions`."""
        public: str | None = self.protocol_options().get("public")
        return public

    @property
    def cohort_size(self) -> int:
        """Clients in one round."""
        return self.clients if self.cohort is None else self.cohort

    def to_run_config(self) -> dict[str, Cell]:
        """The configuration as Flower's flat ``run_config``: absent values are empty strings."""
        return {
            name.replace("_", "-"): "" if value is None else value
            for name, value in self.model_dump().items()
        }

    @classmethod
    def from_run_config(cls, run_config: Mapping[str, Cell]) -> Self:
        """Read Flower's flat ``run_config``, in which every option has a value.

        An empty string is an absent value; a default counts as not given.

        Raises:
            ConfigError: an unknown name or an impossible value.
        """
        defaults = cls().to_run_config()
        given = {n: value for n, value in run_config.items() if defaults.get(n) != value}
        return cls.parse({name: value for name, value in given.items() if value != ""})

    def given_recipe(self) -> Recipe:
        """The recipe to compare with.

        Raises:
            RecipeError: the file given with ``--recipe`` is no recipe.
        """
        return Recipe() if self.recipe is None else Recipe.from_toml(Path(self.recipe))
