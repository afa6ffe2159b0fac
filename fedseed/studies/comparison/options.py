"""Options of the comparison."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from fedseed.studies.options import RowOptions
from fedseed.studies.rows import CONDITIONS, ROWS, partition_options


class ComparisonOptions(RowOptions):
    """Options of the comparison."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 1, "clients": 3, "test_examples": 200, "most_steps": 3, "rounds": 2,
        "body_rounds": 2, "partitions": "iid,dirichlet-0.1",
    }  # fmt: skip

    repeats: int = Field(
        3, ge=1, le=1000, description="Repeats of every cell, each with its own shards, key and "
        "order of examples; the shards are the same for all protocols."
    )  # fmt: skip
    models: str | None = Field(
        None, description="Models to compare on the same texts, with commas; --model alone when "
        "left out. Rows that need a random start are left out of published bodies."
    )  # fmt: skip
    protocols: str = Field(
        "main", description=f"Rows to compare, with commas: {', '.join(ROWS)}; all; or main: a "
        "choice of them, of which fewer run on the partitions after the first."
    )  # fmt: skip
    partitions: str = Field(
        "iid,dirichlet-0.5,dirichlet-0.1", description="Partitions, with commas: iid, "
        "dirichlet-ALPHA, shards or quantity-ALPHA."
    )  # fmt: skip
    conditions: str = Field(
        "dropout,poison", description="Robustness is measured under: dropout (30 % of the replies "
        "lost), poison (one client with flipped labels), both, or none."
    )  # fmt: skip
    personalize: int | None = Field(
        None, ge=1, le=1_000_000, description="Also let every client adapt the final model to its "
        "own texts for so many steps, under labels and weights."
    )  # fmt: skip

    @field_validator("protocols")
    @classmethod
    def _known_rows(cls, value: str) -> str:
        _known([] if value in ("all", "main") else value.split(","), ROWS)
        return value

    @model_validator(mode="before")
    @classmethod
    def _first_model(cls, values: dict[str, Any]) -> dict[str, Any]:
        """What there is one of, such as tokens and baselines, is the first model's."""
        models = values.get("models")
        if not isinstance(models, str) or not models:
            return values
        first = models.split(",")[0]
        if values.get("model", first) not in models.split(","):
            raise ValueError(f"--model {values['model']} is not among --models {models}")
        return {**values, "model": first}

    @model_validator(mode="after")
    def _rows_of_models(self) -> Self:
        names = [] if self.protocols in ("all", "main") else self.protocols.split(",")
        for name in names:
            if all(ROWS[name].on(model) is None for model in self.all_models):
                able = [other for other in ROWS if ROWS[other].on(self.all_models[0])]
                raise ValueError(
                    f"--protocols {name} is not run with a published body: choose from "
                    f"{', '.join(able)}"
                )
        for model in self.all_models:
            if names and all(ROWS[name].on(model) is None for name in names):
                raise ValueError(f"none of --protocols is run with {model}: leave it out")
        return self

    @model_validator(mode="after")
    def _somebody_adapts(self) -> Self:
        names = [] if self.protocols in ("all", "main") else self.protocols.split(",")
        if self.personalize and names and not any(ROWS[name].personal for name in names):
            able = " and ".join(name for name, row in ROWS.items() if row.personal)
            raise ValueError(f"--personalize works with {able}: add one of them to --protocols")
        return self

    @property
    def all_models(self) -> list[str]:
        """The models to compare."""
        return self.models.split(",") if self.models else [self.model]

    def of(self, model: str) -> "ComparisonOptions":
        """The same options with one of the models."""
        return self.model_copy(update={"model": model})

    @field_validator("models")
    @classmethod
    def _names_of_models(cls, value: str | None) -> str | None:
        names = [] if value is None else value.split(",")
        if len(set(names)) < len(names) or not all(names):
            raise ValueError("write names of models with commas, each once")
        return value

    @field_validator("conditions")
    @classmethod
    def _known_conditions(cls, value: str) -> str:
        _known([] if value == "none" else value.split(","), CONDITIONS)
        return value

    @field_validator("partitions")
    @classmethod
    def _known_partitions(cls, value: str) -> str:
        for name in value.split(","):
            partition_options(name)
        return value


def _known(names: Sequence[str], known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown '{name}': choose from {', '.join(known)}")
