"""The cells of the ablation: a start, fine-tuned by a recipe, tested by a protocol."""

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.models.architecture import State
from fedseed.models.registry import to_state
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.runs.original import start_seed
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pca import DEFAULT_STEP
from fedseed.seeds.make import make_row
from fedseed.seeds.registry import kind_of_row, seed_rows
from fedseed.studies.base import StudyOptions, dataset_of, tested_rows
from fedseed.studies.measuring import (
    cached_weights,
    floor_cell,
    one_class,
    original_of,
    rows_by_test,
    run_test,
)
from fedseed.training import fit
from fedseed.training.compute import choose

DOCUMENTS = Recipe()
"""The seed documents' recipe: Adam, 2e-5, 30 steps of 32."""
GOOD = Recipe(
    optimiser="adamw", learning_rate=1e-3, embedding_multiplier=10.0, schedule="linear",
    warmup=0.1, steps=120,
)  # fmt: skip
"""A plain choice, not tuned for any seed (docs/decisions/studies.md)."""
_ONE_CLASS_BALANCED = 1000
"""Test examples of all classes for models that were trained on one."""
PROTOCOLS = ("one_class", "balanced")
SOURCES = {
    "original": "the fine-tuned original",
    "untrained": "a model that was never trained on the task",
}
"""What a seed is extracted from."""


class AblationOptions(StudyOptions):
    """Options of the ablation."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 40, "most_steps": 2, "original_steps": 5,
    }  # fmt: skip

    recipe: str | None = Field(
        None, description="The good recipe, a TOML file; without it AdamW at 1e-3, word "
        "embeddings x10, linear decay, 120 steps of 32."
    )  # fmt: skip
    k: int = Field(10, ge=1, description="Components of the pca seed.")
    step: float = Field(
        DEFAULT_STEP, gt=0, description="Step of the pca seed's quantiser, as a share of a "
        "tensor's norm."
    )  # fmt: skip
    most_steps: int | None = Field(None, ge=1, description="Cut every recipe to so many steps.")

    def recipes(self) -> dict[str, Recipe]:
        """The documents' recipe and a good one."""
        good = GOOD if self.recipe is None else Recipe.from_toml(Path(self.recipe))
        found = {"documents": DOCUMENTS, "good": good}
        most = self.most_steps or good.steps
        return {
            name: recipe.replace(steps=min(recipe.steps, most), max_length=self.length)
            for name, recipe in found.items()
        }

    def seed_options(self) -> dict[str, dict[str, Any]]:
        """Options of seeds by the names of their rows."""
        return {"pca": {"k": self.k, "step": self.step}}


def tests_of(config: AblationOptions, dataset: Dataset, protocol: str) -> dict[str, Rows]:
    """What models are tested on, by name; those of one class on fewer examples."""
    if protocol == "balanced":
        return {"balanced": tested_rows(config, dataset)}
    return rows_by_test(config, dataset, _ONE_CLASS_BALANCED)


def starts_of(protocol: str) -> list[tuple[str, str]]:
    """Rows and what their seeds are extracted from."""
    if protocol == "balanced":
        return [(row, "original") for row in seed_rows()]
    theirs = [
        (row, "untrained" if kind_of_row(row).is_extracted else "original") for row in seed_rows()
    ]
    return [*theirs, ("pca", "original")]


def label_of(row: str, source: str, protocol: str) -> str:
    """What names the cells of a start."""
    return f"{row}, {protocol}" + (f", {source}" if source != "original" else "")


@functools.lru_cache(maxsize=1)
def _untrained(config: AblationOptions, labels: int) -> State:
    """Weights of a model that was never trained on the task."""
    key = random_key(config.run_seed, "study/untrained")
    return to_state(grow(encode(start_seed(config.model, labels, "bert", key))))


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: a start, tested before or after fine-tuning."""
    config = AblationOptions.model_validate_json(config_json)
    dataset = dataset_of(config)
    if arguments["what"] == "floors":
        return floor_cell(config)
    repeat, protocol = arguments["repeat"], arguments["protocol"]
    by_name = tests_of(config, dataset, protocol)
    key = random_key(config.run_seed, f"study/{repeat}")
    clock = time.monotonic()
    if arguments["what"] == "central":
        seed = start_seed(config.model, dataset.labels, "scaled", key)
    else:
        row, weights = arguments["row"], None
        if kind_of_row(row).is_extracted and arguments["source"] == "original":
            weights = cached_weights(original_of(config)[1])
        elif kind_of_row(row).is_extracted:
            weights = _untrained(config, dataset.labels)
        options = config.seed_options().get(row)
        seed = make_row(row, config.model, dataset.labels, key, weights, options)
    encoded = encode(seed)
    module, compute = grow(encoded), choose(config.precision)
    result: dict[str, Any] = {"bytes": len(encoded)}
    if "recipe" in arguments:
        recipe = Recipe(**arguments["recipe"])
        rows = one_class(dataset)[0] if protocol == "one_class" else dataset.train
        rng = generator(config.run_seed, "study", repeat)
        result["train_loss"] = _finite(
            fit(module, dataset.table, rows, recipe, rng, compute).train_loss
        )
    result["seconds_to_model"] = round(time.monotonic() - clock, 3)
    return result | run_test(module, config, dataset, by_name)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
