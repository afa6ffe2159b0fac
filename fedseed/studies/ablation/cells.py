"""The cells of the ablation: a start, fine-tuned by a recipe, tested on all classes or on one."""

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.models.architecture import State
from fedseed.models.registry import to_state
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.runs.original import start_seed
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import encode
from fedseed.seeds.registry import kind_of_row
from fedseed.studies.ablation.options import AblationOptions
from fedseed.studies.base import dataset_of, tested_rows
from fedseed.studies.measuring import (
    cached_weights,
    measure_baseline_cell,
    one_class,
    original_of,
    rows_by_test,
    run_test,
)
from fedseed.studies.seeds import seed_of_row
from fedseed.training import fit
from fedseed.training.precision_and_device import choose

TEST_SETS = ("one_class", "balanced")
"""What models are trained and tested on: the seed documents' one class, or all classes."""
_ONE_CLASS_BALANCED = 1000
"""Test examples of all classes for models that were trained on one."""


def tests_of(config: AblationOptions, dataset: Dataset, test_set: str) -> dict[str, Rows]:
    """What models are tested on, by name; those of one class also on some of all classes."""
    if test_set == "balanced":
        return {"balanced": tested_rows(config, dataset)}
    return rows_by_test(config, dataset, _ONE_CLASS_BALANCED)


def starts_of(test_set: str, rows: Sequence[str]) -> list[tuple[str, str]]:
    """Rows, and what their seeds are extracted from.

    That is ``original``, the fine-tuned original, or ``untrained``, a model that was never trained
    on the task.
    """
    if test_set == "balanced":
        return [(row, "original") for row in rows]
    theirs = [(row, "untrained" if kind_of_row(row).is_extracted else "original") for row in rows]
    return [*theirs, ("pca", "original")]


def label_of(row: str, extracted_from: str, test_set: str) -> str:
    """What names the cells of a start."""
    return f"{row}, {test_set}" + (f", {extracted_from}" if extracted_from != "original" else "")


@functools.lru_cache(maxsize=1)
def _untrained(config: AblationOptions, classes: tuple[str, ...]) -> State:
    """Weights of a model that was never trained on the task."""
    key = random_key(config.run_seed, "study/untrained")
    return to_state(grow(encode(start_seed(config.model, classes, "bert", key))))


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: a start, tested before or after fine-tuning."""
    config = AblationOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    dataset, repeat, test_set = dataset_of(config), arguments["repeat"], arguments["test_set"]
    tests = tests_of(config, dataset, test_set)
    clock = time.monotonic()
    encoded = encode(_seed(config, dataset, arguments))
    module, compute = grow(encoded), choose(config.precision)
    result: dict[str, Any] = {"bytes": len(encoded)}
    if "recipe" in arguments:
        recipe = Recipe(**arguments["recipe"])
        rows = one_class(dataset)[0] if test_set == "one_class" else dataset.train
        rng = generator(config.run_seed, "study", repeat)
        loss = fit(module, dataset.table, rows, recipe, rng, compute).train_loss
        result["train_loss"] = loss if np.isfinite(loss) else None
    result["seconds_to_model"] = round(time.monotonic() - clock, 3)
    return result | run_test(module, config, dataset, tests)


def _seed(config: AblationOptions, dataset: Dataset, arguments: Mapping[str, Any]) -> Seed:
    """The seed that a cell starts from."""
    key = random_key(config.run_seed, f"study/{arguments['repeat']}")
    if arguments["what"] == "central":
        return start_seed(config.model, dataset.classes, "scaled", key)
    row, weights = arguments["row"], None
    if kind_of_row(row).is_extracted:
        weights = (
            cached_weights(original_of(config)[1])
            if arguments["extracted_from"] == "original"
            else _untrained(config, dataset.classes)
        )
    options = config.seed_options().get(row)
    return seed_of_row(config, row, key, weights, options)
