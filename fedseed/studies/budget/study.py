"""The smallest budget (the seed documents' phase 2.2): examples and steps against accuracy.

One training serves all step budgets of a cell: the rate is constant after ten steps of warm-up, so
that the model after n steps is the one that a budget of n would have given.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fedseed.data.digests import file_digest
from fedseed.data.federated_dataset import open_dataset
from fedseed.evaluation.costs import cost_analysis
from fedseed.evaluation.repeats import over_repeats
from fedseed.recipe import Recipe
from fedseed.results.display import Display
from fedseed.seeds.kinds.lexicon.format import refuse_too_many_classes
from fedseed.seeds.registry import kind_of_row
from fedseed.studies.base import Study, tested_rows
from fedseed.studies.budget import STUDY
from fedseed.studies.budget.bodies import RECIPES
from fedseed.studies.budget.cells import WARMUP, measure
from fedseed.studies.budget.options import BODIES, FROZEN, BudgetOptions
from fedseed.studies.cells import Cell, Work
from fedseed.studies.description import StudyDescription
from fedseed.studies.measuring import (
    LINEAR,
    TEST_COST,
    baseline_cell,
    counts_of,
    linear_cell,
    original_of,
)
from fedseed.studies.recipes import GOOD
from fedseed.studies.seeds import is_of_texts

TARGETS = (0.75, 0.80, 0.85, 0.95)
_FEATURE_COST = 0.4
"""Training steps of 32 that one text's features cost."""


class Budget(Study):
    """The smallest budgets."""

    about: ClassVar[StudyDescription] = STUDY
    config: BudgetOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, and the original if a seed is extracted from it."""
        config = self.config
        self.dataset = open_dataset(config, display.tokenising)
        self.starts = config.starts.split(",")
        rows = [start for start in self.starts if start not in (*BODIES, FROZEN)]
        if any(map(is_of_texts, rows)):
            refuse_too_many_classes(config.model, self.dataset.labels)
        self.weights: str | None = None
        if any(kind_of_row(start).is_extracted for start in rows):
            _, path = original_of(config, display)
            self.weights = file_digest(path)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        trained = [start for start in self.starts if start != FROZEN]  # it has a way of its own
        recipes = {start: self._recipe(start, 32).model_dump() for start in trained}
        about = {"recipes": recipes, "original_weights_sha256": self.weights}
        return super().provenance() | about

    def _recipe(self, start: str, samples: int) -> Recipe:
        steps, given = self.config.step_counts[-1], RECIPES.get(start, GOOD)
        return given.replace(
            schedule="constant", steps=steps, warmup=min(0.99, WARMUP / steps),
            batch_size=min(32, samples), max_length=self.config.length,
        )  # fmt: skip

    def _sizes(self, start: str) -> list[int]:
        sizes = self.config.sample_sizes(len(self.dataset.train))
        if start == FROZEN:
            sizes = [size for size in sizes if size <= self.config.frozen_samples]
        return sizes

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        cells = [baseline_cell(), linear_cell()]
        for start in self.starts:
            for repeat in range(self.config.repeats):
                cells += self._start_cells(start, repeat)
        return cells

    def _start_cells(self, start: str, repeat: int) -> list[Cell]:
        """All sample sizes of one start and repeat; a frozen body's in one cell."""
        config, sizes = self.config, self._sizes(start)
        tests = len(tested_rows(config, self.dataset))
        arguments = {"what": "budget", "start": start, "repeat": repeat}
        if start == FROZEN and sizes:
            cost = _FEATURE_COST * (sizes[-1] + tests)
            return [Cell(f"{start}, {repeat}", cost, arguments | {"sizes": sizes})]
        cells = []
        for size in sizes:
            recipe = self._recipe(start, size)
            # Small samples are learnt by heart long before the last step.
            cost = min(recipe.steps, 100 + size) * recipe.batch_size / 32
            cost += TEST_COST * tests * len(config.step_counts)
            trained = arguments | {"samples": size, "recipe": recipe.model_dump()}
            cells.append(Cell(f"{start}, {size} examples, {repeat}", cost, trained))
        return cells

    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        cells = [
            cell
            for start in self.starts
            for size in self._sizes(start)
            for cell in self._result_cells(start, size, measured)
        ]
        return {
            "cells": cells,
            "smallest": [
                smallest(cells, start, target) for start in self.starts for target in TARGETS
            ],
            "costs": cost_analysis(cells, TARGETS),
            "baselines": measured["baselines"]["baselines"],
            LINEAR: measured[LINEAR][LINEAR],
        }

    def _result_cells(
        self, start: str, size: int, measured: Mapping[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """One start and sample size after every number of steps, over the repeats."""
        is_frozen = start == FROZEN
        places = [
            f"{start}, {repeat}" if is_frozen else f"{start}, {size} examples, {repeat}"
            for repeat in range(self.config.repeats)
        ]
        runs = [
            measured[place]["by_size"][str(size)] if is_frozen else measured[place]["by_steps"]
            for place in places
        ]
        cells = []
        for steps in self.config.step_counts:
            tests = [_at(run, steps) for run in runs]
            results = [result for result, _ in tests]
            stopped = [last_step for _, last_step in tests]
            cells.append({
                "start": start, "samples": size, "steps": steps, "test_set": "balanced",
                "bytes": measured[places[0]]["bytes"],
                "after": over_repeats(counts_of(results, "balanced")),
                "stopped_after": stopped if min(stopped) < steps else None,
                "seconds": float(np.median([result["train_seconds"] for result in results])),
            })  # fmt: skip
        return cells


def _at(run: Mapping[str, Any], steps: int) -> tuple[dict[str, Any], int]:
    """A run's test after so many steps, or its last one if it had nothing left to learn before."""
    done = max(int(number) for number in run if int(number) <= steps)
    return run[str(done)], done


def smallest(cells: Sequence[Mapping[str, Any]], start: str, target: float) -> dict[str, Any]:
    """The fewest examples, and the fewest steps, whose mean accuracy reaches a target."""
    reached = [c for c in cells if c["start"] == start and c["after"]["value"] >= target]
    by_samples = min(reached, key=lambda cell: (cell["samples"], cell["steps"]), default=None)
    by_steps = min(reached, key=lambda cell: (cell["steps"], cell["samples"]), default=None)

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
