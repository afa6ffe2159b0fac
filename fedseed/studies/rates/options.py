"""Options of the rates study."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from fedseed.models.architecture import FROM_PRNG
from fedseed.recipe import Recipe
from fedseed.seeds.kinds.lexicon import DEFAULT_BYTES, LARGEST, SMALLEST
from fedseed.studies.options import StudyOptions
from fedseed.studies.recipes import GOOD

STARTS = ("lexicon", "random-scaled")
_HIGHEST = 1.0


class RatesOptions(StudyOptions):
    """Options of the rates study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "rates": "3e-4,3e-3", "steps": 4, "samples": 40,
    }  # fmt: skip

    model: str = Field("bert-tiny", description=f"{', '.join(FROM_PRNG)} (random start).")
    max_length: int | None = Field(
        256, ge=2, le=512, description="Tokens kept of each text, special tokens included."
    )
    repeats: int = Field(
        3, ge=1, le=1000, description="Repeats, each with its own key, texts and order."
    )
    rates: str = Field(
        "1e-4,3e-4,1e-3,2e-3,4e-3,8e-3", description="Learning rates, separated by commas."
    )
    multiplier: float = Field(
        20.0, gt=0, le=1000, description="How many times as fast word embeddings learn."
    )
    steps: int = Field(90, ge=1, le=1_000_000, description="Optimiser steps.")
    batch_size: int = Field(16, ge=1, le=4096, description="Texts of a step.")
    samples: int = Field(1660, ge=2, description="Texts that the newcomer has.")
    seed_bytes: int = Field(
        DEFAULT_BYTES, ge=SMALLEST, le=LARGEST, description="Longest lexicon seed, bytes."
    )

    @field_validator("model")
    @classmethod
    def _starts_at_random(cls, value: str) -> str:
        if value not in FROM_PRNG:
            raise ValueError(f"write one of {', '.join(FROM_PRNG)}, which lexicons can assemble")
        return value

    @field_validator("rates")
    @classmethod
    def _are_rates(cls, value: str) -> str:
        try:
            numbers = [float(word) for word in value.split(",")]
        except ValueError:
            numbers = [0.0]
        if not all(0 < number <= _HIGHEST for number in numbers):
            raise ValueError("write rates above 0 and up to 1, separated by commas")
        return value

    @property
    def all_rates(self) -> list[float]:
        """Rates, ascending."""
        return sorted({float(word) for word in self.rates.split(",")})

    def recipe(self, rate: float) -> Recipe:
        """How a newcomer trains at a rate."""
        return GOOD.replace(
            learning_rate=rate, embedding_multiplier=self.multiplier, label_smoothing=0.1,
            steps=self.steps, batch_size=self.batch_size, max_length=self.length,
        )  # fmt: skip
