"""Recipe: the immutable, validated hyper-parameters of one fine-tuning run."""

import hashlib
import math
import struct
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fedseed.errors import RecipeError, WireError
from fedseed.files import read_toml
from fedseed.validation import first_problem

OPTIMISERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
_FORMAT = "<BBBIHHdddddd"
_VERSION = 1
RECIPE_BYTES = struct.calcsize(_FORMAT)
"""Length of a recipe's canonical bytes."""


class Recipe(BaseModel):
    """How to fine-tune a model on one shard. The defaults are the seed documents' recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    optimiser: Literal["adamw", "adam", "sgd"] = "adam"
    """``adamw`` (decoupled weight decay), ``adam`` or ``sgd`` (momentum 0.9)."""
    learning_rate: float = Field(default=2e-5, gt=0, le=10)
    """Peak learning rate."""
    embedding_multiplier: float = Field(default=1.0, ge=1e-6, le=1000)
    """Learning rate of the word embedding's rows, as a multiple of ``learning_rate``."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What follows the warm-up: no decay, or a decay to zero at the last step."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps over which the rate rises from zero to its peak."""
    steps: int = Field(default=30, ge=0, le=10_000_000)
    """Optimiser steps; 0 leaves the assembled model as it is."""
    batch_size: int = Field(default=32, ge=1, le=65_535)
    """Examples in one step."""
    max_length: int = Field(default=128, ge=4, le=65_535)
    """Tokens kept of each text, [CLS] and [SEP] included."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Weight decay per unit of learning rate; biases and layer norms are left out."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout probability in the hidden states and the attention weights."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target probability spread evenly over all classes."""

    @field_validator("warmup", "weight_decay", "dropout", "label_smoothing")
    @classmethod
    def _no_negative_zero(cls, value: float) -> float:
        return value + 0.0  # equal recipes must have equal bytes

    def rate(self, step: int) -> float:
        """Learning rate of step ``step`` (counted from 0)."""
        ramp = math.ceil(self.warmup * self.steps)
        if step < ramp:
            return self.learning_rate * (step + 1) / ramp
        if self.schedule == "constant":
            return self.learning_rate
        done = (step - ramp) / max(1, self.steps - ramp)
        left = 1 - done if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * left

    def replace(self, **changes: object) -> Self:
        """Return a copy with some values changed, validated again.

        Raises:
            RecipeError: a value is out of its range.
        """
        return self.parse({**self.model_dump(), **changes})

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Make a recipe of a dictionary.

        Raises:
            RecipeError: an unknown name, a wrong type or a value out of its range.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise RecipeError(f"recipe: {first_problem(error)}") from error

    def encode(self) -> bytes:
        """Canonical bytes (59): equal recipes have equal bytes. See docs/recipe.md."""
        return struct.pack(
            _FORMAT, _VERSION, OPTIMISERS.index(self.optimiser), SCHEDULES.index(self.schedule),
            self.steps, self.batch_size, self.max_length, self.learning_rate,
            self.embedding_multiplier, self.warmup, self.weight_decay, self.dropout,
            self.label_smoothing,
        )  # fmt: skip

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read canonical bytes.

        Raises:
            WireError: wrong length, version or value.
        """
        if len(data) != RECIPE_BYTES:
            raise WireError(f"a recipe has {RECIPE_BYTES} bytes, not {len(data)}")
        version, optimiser, schedule, *rest = struct.unpack(_FORMAT, data)
        if version != _VERSION or optimiser >= len(OPTIMISERS) or schedule >= len(SCHEDULES):
            raise WireError("the recipe's version, optimiser or schedule is not known")
        names = (
            "steps", "batch_size", "max_length", "learning_rate", "embedding_multiplier",
            "warmup", "weight_decay", "dropout", "label_smoothing",
        )  # fmt: skip
        values = dict(zip(names, rest, strict=True))
        values |= {"optimiser": OPTIMISERS[optimiser], "schedule": SCHEDULES[schedule]}
        try:
            recipe = cls.parse(values)
        except RecipeError as error:
            raise WireError(str(error)) from error
        if recipe.encode() != data:
            raise WireError("the recipe's bytes are not canonical")
        return recipe

    def digest(self) -> str:
        """sha256 of the canonical bytes, as 64 hexadecimal digits."""
        return hashlib.sha256(self.encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the recipe as TOML text that :meth:`from_toml` reads back to equal bytes."""
        return tomli_w.dumps(self.model_dump())

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read a recipe file.

        Raises:
            RecipeError: the file cannot be read, is not TOML, or holds a bad value.
        """
        values = read_toml(path, "the recipe", RecipeError)
        try:
            return cls.parse(values)
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from error
