"""Plans of attacked runs, and the world that they take place in."""

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.splits import Rows
from fedseed.federation.privacy_budget import within_budget
from fedseed.recipe import Recipe
from fedseed.runs.plan import Plan, make_plan
from fedseed.studies.base import dataset_of
from fedseed.studies.privacy.attacked_rows import attacked_row
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.world import World, make_world
from fedseed.studies.rows import StudyRow, run_config


@functools.lru_cache(maxsize=4)
def plan_of(config: PrivacyOptions, row: str) -> Plan:
    """The attacked run of a row, as everybody knows it."""
    return plan_row(config, attacked_row(row))


def plan_row(config: PrivacyOptions, row: StudyRow, **options: Any) -> Plan:
    """The plan of a row on the study's data.

    Args:
        config: of the study.
        row: what is run.
        options: further options of the run.
    """
    run, recipe = run_config(
        config, replace(row, options={**row.options, **options}), "iid", "", 0
    )  # fmt: skip
    return make_plan(run, given=recipe)


@functools.lru_cache(maxsize=4)
def world_of(config: PrivacyOptions, clients: int, shard: int) -> World:
    """Candidates and canaries."""
    return make_world(
        dataset_of(config), clients, shard, config.population, config.references, config.run_seed,
        set_aside(config),
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def set_aside(config: PrivacyOptions) -> Rows:
    """Training texts that are public under any of the attacked rows."""
    rows = [np.empty(0, dtype=np.int64)]
    for row in config.rows():
        run, _ = run_config(config, attacked_row(row), "iid", "", 0)
        if (run.public_texts or "").startswith("reviews:"):
            public = plan_of(config, row).federated.public
            assert public is not None  # the run asks for some
            rows.append(public.rows)
    return np.unique(np.concatenate(rows))


def can_be_crafted(config: PrivacyOptions) -> bool:
    """Whether a seed can be crafted for the task: its questions are of two classes."""
    return dataset_of(config).labels == 2


def clients_of(plan: Plan, repeat: int) -> RunConfig:
    """The configuration that the clients of a repeat draw their choices from."""
    return plan.config.replace(run_seed=plan.config.run_seed + 1 + repeat)


def defended(
    run: RunConfig,
    config: PrivacyOptions,
    epsilon: float,
    given: Recipe,
    federated: FederatedDataset,
) -> tuple[RunConfig, float]:
    """A run's options under DP-SGD within a budget, and what it spends."""
    asked = run.replace(
        privacy="example", epsilon=epsilon, delta=config.delta, clip=config.clip
    )  # fmt: skip
    resolved, budget = within_budget(asked, given, federated)
    assert budget is not None
    return resolved, budget.epsilon
