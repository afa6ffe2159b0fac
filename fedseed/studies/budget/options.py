"""Options of the budget study."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fedseed.models.architecture import FROM_PRNG
from fedseed.options import is_whole
from fedseed.seeds.registry import seed_rows
from fedseed.studies.options import StudyOptions

FROZEN = "minilm-frozen"
"""Published weights with a frozen body: a linear head is trained on its features."""
WHOLE, ADAPTED, MOVED = BODIES = "published", "published-adapters", "published-coordinates"
"""--model's published weights: all are trained, or factors, or coordinates."""


class BudgetOptions(StudyOptions):
    """Options of the budget study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "original_steps": 20, "samples": "10,50,100",
        "steps": "0,1,5,10", "frozen_samples": 50,
    }  # fmt: skip

    repeats: int = Field(
        3, ge=1, le=1000, description="Repeats of every cell, each with its own key, examples and "
        "order."
    )  # fmt: skip
    test_examples: int | None = Field(
        1000, ge=2, description="Test on a fixed, stratified subset of this size."
    )
    samples: str = Field(
        "10,25,50,100,250,500,2000,all", description="Training examples, separated by commas."
    )
    steps: str = Field(
        "0,1,5,10,30,100,300,1000",
        description="Optimiser steps, separated by commas; 0 tests the start itself.",
    )
    starts: str = Field(
        f"random-scaled,lexicon,pca,{FROZEN}", description="Starts, separated by commas: "
        f"{', '.join((*seed_rows(), *BODIES, FROZEN))} (published: --model's weights)."
    )  # fmt: skip
    frozen_samples: int = Field(
        2000, ge=1, description="Most training examples whose features are computed for a frozen "
        "body."
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _starts_of_a_body(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A published model's own starts, where none are named."""
        if values.get("model", "bert-tiny") in FROM_PRNG or values.get("starts") is not None:
            return values
        return {**values, "starts": ",".join((*BODIES, FROZEN))}

    @field_validator("samples", "steps")
    @classmethod
    def _is_a_list(cls, value: str, info: ValidationInfo) -> str:
        words = [word.strip() for word in value.split(",")]
        if info.field_name == "samples":
            words = [word for word in words if word != "all"]
        least = 0 if info.field_name == "steps" and words != ["0"] else 1
        if not all(is_whole(word) and int(word) >= least for word in words):
            raise ValueError("write positive whole numbers separated by commas")
        return value

    @field_validator("starts")
    @classmethod
    def _are_starts(cls, value: str) -> str:
        for word in value.split(","):
            if word not in (known := (*seed_rows(), *BODIES, FROZEN)):
                raise ValueError(f"unknown start '{word}': choose from {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _models_of_starts(self) -> Self:
        for start in self.starts.split(","):
            if start in BODIES and self.model in FROM_PRNG:
                raise ValueError(f"start '{start}' needs a published --model, such as minilm")
            if start not in (*BODIES, FROZEN) and self.model not in FROM_PRNG:
                raise ValueError(
                    f"start '{start}' does not go with --model {self.model}: choose from "
                    f"{', '.join((*BODIES, FROZEN))}"
                )
        return self

    def sample_sizes(self, available: int) -> list[int]:
        """Numbers of training examples, ascending; ``all`` is what there is."""
        words = [word.strip() for word in self.samples.split(",")]
        sizes = {available if word == "all" else min(int(word), available) for word in words}
        return sorted(sizes)

    @property
    def step_counts(self) -> list[int]:
        """Numbers of steps, ascending."""
        return sorted({int(word) for word in self.steps.split(",")})
