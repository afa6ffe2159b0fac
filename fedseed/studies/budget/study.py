"""The smallest budget (the seed documents' phase 2.2): examples and steps against accuracy.

One training serves all step budgets of a cell: the rate is constant after ten steps of warm-up, so
that the model after n steps is the one that a budget of n would have given.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fedseed.data.federated_dataset import open_dataset
from fedseed.data.files import file_digest
from fedseed.evaluation.costs import cost_analysis
from fedseed.evaluation.repeats import over_repeats
from fedseed.recipe import Recipe
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.seeds.registry import kind_of_row
from fedseed.studies.ablation.cells import GOOD
from fedseed.studies.base import Study, StudyOptions, tested_rows
from fedseed.studies.budget.cells import FROZEN, WARMUP, BudgetOptions, measure
from fedseed.studies.budget.figure import budget_figure
from fedseed.studies.budget.table import budget_table
from fedseed.studies.cells import Cell, Work
from fedseed.studies.measuring import (
    FLOOR_COST,
    TEST_COST,
    counts_of,
    original_of,
)

TARGETS = (0.75, 0.80, 0.85, 0.95)
_FEATURE_COST = 0.4
"""Training steps of 32 that one text's features cost."""


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
        self.weights: str | None = None
        if any(start != FROZEN and kind_of_row(start).is_extracted for start in self.starts):
            _, path = original_of(config, display)
            self.weights = file_digest(path)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        about = {"recipe": self._recipe(32).model_dump(), "original_weights_sha256": self.weights}
        return super().provenance() | about

    def _recipe(self, samples: int) -> Recipe:
        steps = self.config.step_counts[-1]
        return GOOD.replace(
            schedule="constant", steps=steps, warmup=min(0.99, WARMUP / steps),
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
        return {
            "cells": cells,
            "smallest": [
                smallest(cells, start, target) for start in self.starts for target in TARGETS
            ],
            "costs": cost_analysis(cells, TARGETS),
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
