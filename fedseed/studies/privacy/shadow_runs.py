"""Cells of many runs of one client: each is the target once, and a shadow model of the others."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fedseed.attacks.evidence import pack
from fedseed.attacks.replay import contributed_models
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.models.architecture import FROM_PRNG
from fedseed.studies.privacy.attacked_rows import attacked_row
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, plan_row, world_of
from fedseed.studies.privacy.watched_runs import signals, watch
from fedseed.studies.rows import StudyRow

_BODY_TEXTS, _BODY_POPULATION, _BODY_STEPS, _BODY_BATCH = 100, 60, 24, 16
"""Of a published body, whose steps are slow: texts of the client, and about four passes over
them."""


class Shadowed(NamedTuple):
    """A row of which many runs are made, with a model."""

    row: str
    model: str

    @property
    def has_body(self) -> bool:
        """Whether the model is a published one."""
        return self.model not in FROM_PRNG


def shadowed_rows(config: PrivacyOptions) -> Iterator[Shadowed]:
    """Rows of which many runs are made, of those that are attacked."""
    attacked = config.rows_of("many-shadows")
    for row, model in config.shadowed().items():
        if row in attacked:
            yield Shadowed(row, model or config.model)


def world_config(config: PrivacyOptions, shadowed: Shadowed) -> PrivacyOptions:
    """The study's options as they are for one client with a model."""
    run = config.replace(clients=1, model=shadowed.model, protocol=shadowed.row, attack="all")
    if not shadowed.has_body:
        return run
    return run.replace(
        shard=min(config.shard, _BODY_TEXTS), population=min(config.population, _BODY_POPULATION)
    )  # fmt: skip


def shadow_row(shadowed: Shadowed) -> StudyRow | None:
    """The row as its client runs it: one round; None where it is not run with the model."""
    if not shadowed.has_body:
        return attacked_row(shadowed.row, rounds=1)
    row = attacked_row(shadowed.row).on(shadowed.model)
    if row is None:
        return None
    recipe = row.recipe.replace(batch_size=_BODY_BATCH)
    return replace(row, recipe=recipe, steps=_BODY_STEPS, rounds=1)


def shadow_run(config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One run of one client, and what its contribution's model says of whole and of half texts."""
    shadowed = Shadowed(arguments["row"], arguments["model"])
    own = world_config(config, shadowed)
    row, repeat = shadow_row(shadowed), arguments["repeat"]
    assert row is not None
    plan = plan_row(own, row)
    world = world_of(own, 1, own.shard)
    held = world.candidates[world.owners(repeat, own.run_seed) == 0]
    client_config = clients_of(plan, repeat)
    federated = FederatedDataset(client_config, world.dataset, (held, world.newcomer), None)
    watched = watch(plan, client_config, federated)
    model = contributed_models(watched.view("server"), watched.setup, 1)[0]
    texts = np.concatenate([world.candidates, world.population])
    lengths = (plan.max_length, plan.max_length // 2)
    return {"signals": [pack(signals(model, world, texts, plan, length)) for length in lengths]}
