"""The cells of the budget study: one training, tested after every number of steps."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator
from torch import nn

from fedseed.data.splits import Rows
from fedseed.evaluation.metrics import count_correct
from fedseed.options import is_whole
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.make import make_row
from fedseed.seeds.registry import kind_of_row, seed_rows
from fedseed.studies.base import StudyOptions, dataset_of, tested_rows
from fedseed.studies.budget.frozen import features, train_head
from fedseed.studies.measuring import (
    cached_weights,
    floor_cell,
    original_of,
    run_test,
)
from fedseed.training import fit
from fedseed.training.compute import choose

FROZEN = "minilm-frozen"
"""Published weights with a frozen body: a linear head is trained on its features."""
WARMUP = 10
_LEARNT = 0.005
"""Mean training loss, nats over ten steps, below which training stops: nothing is left to learn."""


class BudgetOptions(StudyOptions):
    """Options of the budget study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "original_steps": 20, "samples": "10,50,100",
        "steps": "1,5,10", "frozen_samples": 50,
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
        "1,5,10,30,100,300,1000", description="Optimiser steps, separated by commas."
    )
    starts: str = Field(
        f"random-scaled,pca,{FROZEN}", description="Starts, separated by commas: "
        f"{', '.join(seed_rows())}, {FROZEN}."
    )  # fmt: skip
    frozen_samples: int = Field(
        2000, ge=1, description="Most training examples whose features are computed for a frozen "
        "body."
    )  # fmt: skip

    @field_validator("samples", "steps")
    @classmethod
    def _is_a_list(cls, value: str, info: ValidationInfo) -> str:
        words = [word.strip() for word in value.split(",")]
        if info.field_name == "samples":
            words = [word for word in words if word != "all"]
        if not all(is_whole(word) and int(word) > 0 for word in words):
            raise ValueError("write positive whole numbers separated by commas")
        return value

    @field_validator("starts")
    @classmethod
    def _are_starts(cls, value: str) -> str:
        for word in value.split(","):
            if word not in (*seed_rows(), FROZEN):
                known = ", ".join(seed_rows())
                raise ValueError(f"unknown start '{word}': choose from {known}, {FROZEN}")
        return value

    def sample_sizes(self, available: int) -> list[int]:
        """Numbers of training examples, ascending; ``all`` is what there is."""
        words = [word.strip() for word in self.samples.split(",")]
        sizes = {available if word == "all" else min(int(word), available) for word in words}
        return sorted(sizes)

    @property
    def step_counts(self) -> list[int]:
        """Numbers of steps, ascending."""
        return sorted({int(word) for word in self.steps.split(",")})


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: a start, so many examples, tested after every number of steps."""
    config = BudgetOptions.model_validate_json(config_json)
    if arguments["what"] == "floors":
        return floor_cell(config)
    if arguments["start"] == FROZEN:
        return _frozen(config, arguments)
    return _trained(config, arguments)


def _chosen(config: BudgetOptions, repeat: int, size: int) -> Rows:
    """The first ``size`` training rows in a repeat's order: larger samples hold the smaller."""
    order = generator(config.run_seed, "budget", 0, repeat).permutation(dataset_of(config).train)
    return np.sort(order[:size])


def _trained(config: BudgetOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    dataset, repeat, start = dataset_of(config), arguments["repeat"], arguments["start"]
    weights = None
    if kind_of_row(start).is_extracted:
        weights = cached_weights(original_of(config)[1])
    key = random_key(config.run_seed, f"study/{repeat}")
    encoded = encode(make_row(start, config.model, dataset.labels, key, weights))
    recipe = Recipe(**arguments["recipe"])
    rows = _chosen(config, repeat, arguments["samples"])
    tests = {"balanced": tested_rows(config, dataset)}
    clock = _Clock()
    by_steps: dict[str, Any] = {}

    def watch(losses: Sequence[float], model: Callable[[], nn.Module]) -> bool:
        done = len(losses)
        learnt = done >= WARMUP and float(np.mean(losses[-10:])) < _LEARNT
        if done in config.step_counts or learnt:
            with clock.paused() as trained:
                found = run_test(model(), config, dataset, tests)
            by_steps[str(done)] = found | {"train_seconds": trained}
        return learnt

    rng = generator(config.run_seed, "study", arguments["samples"], repeat)
    fit(grow(encoded), dataset.table, rows, recipe, rng, choose(config.precision), watch=watch)
    return {"bytes": len(encoded), "by_steps": by_steps}


class _Clock:
    """Seconds of training, tests left out."""

    def __init__(self) -> None:
        self._seconds, self._since = 0.0, time.monotonic()

    def paused(self) -> "_Clock":
        self._seconds += time.monotonic() - self._since
        return self

    def __enter__(self) -> float:
        return round(self._seconds, 4)

    def __exit__(self, *error: object) -> None:
        self._since = time.monotonic()


def _frozen(config: BudgetOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All sample sizes of one repeat: the features of the largest hold those of the others."""
    dataset, repeat = dataset_of(config), arguments["repeat"]
    sizes = arguments["sizes"]
    labels, tests = dataset.table.labels, tested_rows(config, dataset)
    rows = _chosen(config, repeat, sizes[-1])
    clock = _Clock()
    known = features("minilm", dataset.table, rows, config.length)
    with clock.paused() as seconds:
        each = seconds / len(rows)
        unknown = features("minilm", dataset.table, tests, config.length)
    by_size: dict[str, Any] = {}
    for size in sizes:
        chosen = np.searchsorted(rows, _chosen(config, repeat, size))
        own: dict[str, Any] = {}
        clock = _Clock()

        def test(
            done: int, scores: Any, own: dict[str, Any] = own, clock: _Clock = clock,
            size: int = size,
        ) -> None:  # fmt: skip
            with clock.paused() as trained:
                counts = count_correct(scores(unknown), labels[tests])
            own[str(done)] = {
                "balanced": {"correct": list(counts.correct), "examples": list(counts.examples)},
                "train_seconds": round(trained + each * size, 4),
            }

        rng = generator(config.run_seed, "study", size, repeat)
        train_head(
            known[chosen], labels[rows[chosen]], dataset.labels, config.step_counts, rng, test
        )
        by_size[str(size)] = own
    return {"bytes": None, "by_size": by_size}
