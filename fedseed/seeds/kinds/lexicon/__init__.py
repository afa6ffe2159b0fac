"""The lexicon seed: which words speak for which class, and how much."""

from typing import Literal

from pydantic import Field, model_validator

from fedseed.models.architecture import FROM_PRNG
from fedseed.seeds.description import SeedKind, SeedOptions, SeedRow

DEFAULT_BYTES, SMALLEST, LARGEST = 1500, 60, 1 << 20
MOST_CLASSES = 255
MOST_LEVELS = 127
"""Levels of a weight on either side of zero."""


def most_coordinates(hidden: int) -> int:
    """Coordinates of a hidden state that scores may have beside everything else: three quarters."""
    return hidden * 3 // 4


def can_carry(model: str, classes: int) -> bool:
    """Whether a lexicon of so many classes assembles into a model."""
    return model in FROM_PRNG and 2 <= classes <= MOST_CLASSES


class LexiconOptions(SeedOptions):
    """How large a lexicon is. What is left out is chosen on texts set aside."""

    max_bytes: int = Field(
        DEFAULT_BYTES,
        ge=SMALLEST,
        le=LARGEST,
        description="Longest seed, bytes, with header and checksum.",
    )
    estimate: Literal["logistic", "counts"] = Field(
        "logistic", description="How weights are found: by logistic regression, or by counts of "
        "texts alone (naive Bayes; all words that fit)."
    )  # fmt: skip
    words: int | None = Field(None, ge=1, le=30_000, description="Tokens of the model that count.")
    levels: int | None = Field(
        None, ge=1, le=MOST_LEVELS, description="Levels of a weight on either side of zero."
    )

    @model_validator(mode="after")
    def _fits(self) -> "LexiconOptions":
        if self.estimate == "counts" and (self.words or self.levels):
            raise ValueError("--words and --levels are for --estimate logistic: leave them out")
        return self


SEED_KIND = SeedKind(
    name="lexicon",
    code=6,
    summary="weighted words: a bag of words that a transformer computes",
    made_from="texts",
    format=f"{__name__}.format:LexiconFormat",
    options=LexiconOptions,
    file_version=2,
    rows={
        "lexicon": SeedRow("weighted words of all training texts", for_language_models=False),
    },
)
