"""The cells of the comparison: one row, on one partition, under one condition, once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import nn

from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.data.splits import Rows
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.runs.evaluate import correct_on
from fedseed.runs.plan import Plan, make_plan
from fedseed.seeds.assemble import grow
from fedseed.studies.comparison.options import ComparisonOptions
from fedseed.studies.federated_run import FederatedRun
from fedseed.studies.measuring import LINEAR, measure_baseline_cell, measure_linear_cell
from fedseed.studies.recipes import CENTRAL_EPOCHS
from fedseed.studies.rows import ROWS, StudyRow, run_config
from fedseed.training import FitJob, Trainer


@dataclass(frozen=True)
class Place:
    """Where a cell stands, repeats apart."""

    model: str
    row: str
    partition: str
    condition: str
    """One of :data:`fedseed.studies.rows.CONDITIONS`, or empty."""

    def series(self, first_model: str) -> str:
        """Row and model in one word, for tables and figures; the first model goes without."""
        return self.row if self.model == first_model else f"{self.row} ({self.model})"


def row_of(place: Place) -> StudyRow:
    """The place's row, as it is with its model."""
    row = ROWS[place.row].on(place.model)
    assert row is not None, f"{place.row} is not run with {place.model}"
    return row


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell."""
    config = ComparisonOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    if arguments["what"] == LINEAR:
        return measure_linear_cell(config)
    place = Place(**{field.name: arguments[field.name] for field in fields(Place)})
    row, config = row_of(place), config.of(place.model)
    run, recipe = run_config(config, row, place.partition, place.condition, arguments["repeat"])
    plan = make_plan(run, given=recipe)
    if place.row == "local":
        return _local(plan, recipe.replace(steps=config.cut(row.steps or config.steps)))
    if place.row == "central":
        return _central(plan, recipe, config)
    personal = config.personalize if row.personal and not place.condition else None
    return FederatedRun(plan, personal and config.cut(personal)).run()


def _train(plan: Plan, rows: Rows, recipe: Recipe, rng: np.random.Generator) -> nn.Module:
    model = grow(plan.encoded_seed)
    table = plan.federated.dataset.table
    Trainer(plan.compute).fit(FitJob(model, table, rows, recipe, rng))
    return model


def _local(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """Every client trains alone; its model is what it would have without any protocol."""
    clock, federated, seed = time.monotonic(), plan.federated, plan.config.run_seed
    models = [
        _train(plan, federated.shard(pid).whole(), recipe, generator(seed, "evaluate", 0, pid))
        for pid in range(plan.config.clients + 1)
    ]
    seconds = (time.monotonic() - clock) / len(models)
    participants = [correct_on(plan, model, federated.test_rows(0)) for model in models[:-1]]
    newcomer = correct_on(plan, models[-1], federated.test_rows())
    return {
        "participants": [one.to_record() for one in participants],
        "newcomers": [newcomer.to_record()],
        "rounds": [], "client_steps": recipe.steps, "client_seconds": seconds,
    }  # fmt: skip


def _central(plan: Plan, recipe: Recipe, config: ComparisonOptions) -> dict[str, Any]:
    """All participants' texts together, as if they could be."""
    clock = time.monotonic()
    rows = np.sort(np.concatenate(plan.federated.parts[: plan.config.clients]))
    steps = config.cut(-(-CENTRAL_EPOCHS * len(rows) // recipe.batch_size))
    rng = generator(plan.config.run_seed, "central")
    model = _train(plan, rows, recipe.replace(steps=steps), rng)
    seconds = time.monotonic() - clock
    test = correct_on(plan, model, plan.federated.test_rows()).to_record()
    return {
        "final": test, "participants": [], "newcomers": [test], "rounds": [],
        "client_steps": steps, "client_seconds": seconds,
    }  # fmt: skip


def federated_of(config: ComparisonOptions, repeat: int, partition: str) -> FederatedDataset:
    """The shards of a repeat, for the record; the same with every model."""
    return open_federated_dataset(run_config(config, ROWS["local"], partition, "", repeat)[0])
