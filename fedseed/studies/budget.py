"""The smallest budget (the seed documents' phase 2.2): examples and steps against accuracy.

One training serves all step budgets of a cell: the rate is constant after ten steps of warm-up, so
that the model after n steps is the one that a budget of n would have given.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator
from torch import nn

from fedseed.data.site import open_dataset
from fedseed.data.splits import Rows
from fedseed.evaluation.costs import cost_analysis
from fedseed.evaluation.metrics import count_correct
from fedseed.evaluation.repeats import over_repeats
from fedseed.growing import grow
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.results.budget_figure import budget_figure
from fedseed.results.budget_table import budget_table
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.seeds.codec import encode
from fedseed.seeds.pca import PcaOptions
from fedseed.studies.ablation import GOOD
from fedseed.studies.cells import Cell, Work
from fedseed.studies.frozen import features, train_head
from fedseed.studies.measuring import (
    FLOOR_COST,
    TEST_COST,
    cached_weights,
    counts_of,
    measure_floors,
    run_test,
)
from fedseed.studies.original import original_weights
from fedseed.studies.starts import EXTRACTED, ROWS, make_seed
from fedseed.studies.study import Study, StudyOptions, dataset_of, tested_rows
from fedseed.training import fit
from fedseed.training.compute import choose

FROZEN = "minilm-frozen"
"""Published weights with a frozen body: a linear head is trained on its features."""
TARGETS = (0.75, 0.80, 0.85, 0.95)
_WARMUP = 10
_LEARNT = 0.005
"""Mean training loss, nats over ten steps, below which training stops: nothing is left to learn."""
_FEATURE_COST = 0.4
"""Training steps of 32 that one text's features cost."""


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
        f"{', '.join(ROWS)}, {FROZEN}."
    )  # fmt: skip
    frozen_samples: int = Field(
        2000, ge=1, description="Most training examples whose features are computed for a frozen "
        "body."
    )  # fmt: skip
    original_steps: int | None = Field(
        None, ge=1, description="Train the original for so many steps, not for one epoch."
    )

    @field_validator("samples", "steps")
    @classmethod
    def _is_a_list(cls, value: str, info: ValidationInfo) -> str:
        words = [word.strip() for word in value.split(",")]
        if info.field_name == "samples":
            words = [word for word in words if word != "all"]
        if not all(word.isdigit() and int(word) > 0 for word in words):
            raise ValueError("write positive whole numbers separated by commas")
        return value

    @field_validator("starts")
    @classmethod
    def _are_starts(cls, value: str) -> str:
        for word in value.split(","):
            if word not in (*ROWS, FROZEN):
                raise ValueError(f"unknown start '{word}': choose from {', '.join(ROWS)}, {FROZEN}")
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
        return measure_floors(config)
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
    if start in EXTRACTED:
        weights = cached_weights(
            original_weights(dataset, config.model, config.length, steps=config.original_steps)[1]
        )
    key = random_key(config.run_seed, f"study/{repeat}")
    encoded = encode(make_seed(start, config.model, dataset.labels, key, weights, PcaOptions()))
    recipe = Recipe(**arguments["recipe"])
    rows = _chosen(config, repeat, arguments["samples"])
    tests = {"balanced": tested_rows(config, dataset)}
    clock = _Clock()
    by_steps: dict[str, Any] = {}

    def watch(losses: Sequence[float], model: Callable[[], nn.Module]) -> bool:
        done = len(losses)
        learnt = done >= _WARMUP and float(np.mean(losses[-10:])) < _LEARNT
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


class Budget(Study):
    """How few examples and steps are enough, and when a download would have been quicker.

    Accuracy for every number of training examples and optimiser steps, from a random seed, an
    extracted one and a published model with a frozen body; the smallest budgets for 75, 80 and
    85 %; and the link speed below which fine-tuning beats downloading the weights.
    """

    kind: ClassVar[Kind] = "budget"
    options: ClassVar[type[StudyOptions]] = BudgetOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, and the original if a seed is extracted from it."""
        config = self.config
        self.dataset = open_dataset(config, display.tokenising)
        self.starts = config.starts.split(",")
        if any(start in EXTRACTED for start in self.starts):
            original_weights(
                self.dataset, config.model, config.length, display.original, config.original_steps
            )

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        return super().provenance() | {"recipe": self._recipe(32).model_dump()}

    def _recipe(self, samples: int) -> Recipe:
        steps = self.config.step_counts[-1]
        return GOOD.replace(
            schedule="constant", steps=steps, warmup=min(0.99, _WARMUP / steps),
            batch_size=min(32, samples), max_length=self.config.length,
        )  # fmt: skip

    def _sizes(self, start: str) -> list[int]:
        sizes: list[int] = self.config.sample_sizes(len(self.dataset.train))
        if start == FROZEN:
            sizes = [size for size in sizes if size <= self.config.frozen_samples]
        return sizes

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        config = self.config
        tests = TEST_COST * len(tested_rows(config, self.dataset)) * len(config.step_counts)
        cells = [Cell("floors", FLOOR_COST, {"what": "floors"})]
        for start in self.starts:
            sizes = self._sizes(start)
            for repeat in range(config.repeats):
                own = {"what": "budget", "start": start, "repeat": repeat}
                if start == FROZEN and sizes:
                    cost = _FEATURE_COST * (sizes[-1] + len(tested_rows(config, self.dataset)))
                    cells.append(Cell(f"{start}, {repeat}", cost, own | {"sizes": sizes}))
                    continue
                for size in sizes:
                    recipe = self._recipe(size)
                    # Small samples are learnt by heart long before the last step.
                    cost = min(recipe.steps, 100 + size) * recipe.batch_size / 32 + tests
                    more = {"samples": size, "recipe": recipe.model_dump()}
                    cells.append(Cell(f"{start}, {size} examples, {repeat}", cost, own | more))
        return cells

    def results(self, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        cells = [
            cell
            for start in self.starts
            for size in self._sizes(start)
            for cell in self._row(start, size, found)
        ]
        best = [cell for cell in cells if cell["bytes"] is not None]
        return {
            "cells": cells,
            "smallest": [
                smallest(cells, start, target) for start in self.starts for target in TARGETS
            ],
            "costs": cost_analysis(best, TARGETS),
            "floors": found["floors"]["floors"],
        }

    def _row(
        self, start: str, size: int, found: Mapping[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        runs = []
        for repeat in range(self.config.repeats):
            if start == FROZEN:
                runs.append(found[f"{start}, {repeat}"]["by_size"][str(size)])
            else:
                runs.append(found[f"{start}, {size} examples, {repeat}"]["by_steps"])
        first = found[f"{start}, 0" if start == FROZEN else f"{start}, {size} examples, 0"]
        cells = []
        for steps in self.config.step_counts:
            own = [_at(run, steps) for run in runs]
            stopped = [run_steps for _, run_steps in own]
            cells.append({
                "start": start, "seed_kind": start, "samples": size, "steps": steps,
                "protocol": "balanced", "recipe": "good, constant rate", "bytes": first["bytes"],
                "before": None, "after": over_repeats(counts_of([r for r, _ in own], "balanced")),
                "retention_plain": None, "retention_chance_corrected": None,
                "stopped_after": stopped if min(stopped) < steps else None,
                "seconds": float(np.median([result["train_seconds"] for result, _ in own])),
            })  # fmt: skip
        return cells

    def table(self, record: Mapping[str, Any]) -> str:
        """See :class:`Study`."""
        return budget_table(record)

    def figure(self, record: Mapping[str, Any], path: Path) -> None:
        """See :class:`Study`."""
        budget_figure(record, path)


def _at(run: Mapping[str, Any], steps: int) -> tuple[dict[str, Any], int]:
    """A run's test after so many steps, or its last one if it had nothing left to learn before."""
    done = max(int(number) for number in run if int(number) <= steps)
    return run[str(done)], done


def smallest(cells: Sequence[Mapping[str, Any]], start: str, target: float) -> dict[str, Any]:
    """The fewest examples, and the fewest steps, whose mean accuracy reaches a target."""
    own = [cell for cell in cells if cell["start"] == start and cell["after"]["value"] >= target]
    by_samples = min(own, key=lambda cell: (cell["samples"], cell["steps"]), default=None)
    by_steps = min(own, key=lambda cell: (cell["steps"], cell["samples"]), default=None)

    def brief(cell: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return (
            None
            if cell is None
            else {name: cell[name] for name in ("samples", "steps", "seconds", "after")}
        )

    return {
        "start": start, "target": target, "fewest_samples": brief(by_samples),
        "fewest_steps": brief(by_steps),
    }  # fmt: skip
