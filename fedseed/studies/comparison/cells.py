"""The cells of the comparison: one row, on one partition, under one condition, once."""

import time
from collections.abc import Mapping
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
from fedseed.studies.rows import ROWS, run_config
from fedseed.training import FitJob, Trainer


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell."""
    config = ComparisonOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    if arguments["what"] == LINEAR:
        return measure_linear_cell(config)
    row = ROWS[arguments["row"]]
    run, recipe = run_config(
        config, row, arguments["partition"], arguments["condition"], arguments["repeat"]
    )
    plan = make_plan(run, given=recipe)
    if arguments["row"] == "local":
        return _local(plan, recipe.replace(steps=config.cut(row.steps or config.steps)))
    if arguments["row"] == "central":
        return _central(plan, recipe, config)
    personal = config.personalize if row.personal and not arguments["condition"] else None
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
    """The shards of a repeat, for the record."""
    return open_federated_dataset(run_config(config, ROWS["local"], partition, "", repeat)[0])
