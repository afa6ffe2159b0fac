"""Cells of a single client: a model that memorises, updates of a few texts, an audited run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.attacks.audit.one_run import audit
from fedseed.attacks.evidence import pack
from fedseed.attacks.replay import contributed_models, start_model
from fedseed.attacks.tokens.gradient_inversion import recovery, texts_of_step
from fedseed.attacks.tokens.vocabulary import moved_rows, vocabulary_recovery
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.splits import Rows
from fedseed.federation.privacy_budget import within_budget
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.protocols.rows import BEST, USUAL
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.runs.plan import Plan
from fedseed.studies.privacy.attacked_rows import attacked_row
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, plan_row, world_of
from fedseed.studies.privacy.watched_runs import Watched, signals, watch, words_of
from fedseed.studies.privacy.world import World, canary_texts, with_texts

Arguments = Mapping[str, Any]
"""Of a cell, by name; see :class:`fedseed.studies.cells.Cell`."""
MEMORISED = 100
"""Texts of the client whose model is made to memorise."""
_MEMORISING_STEPS = 300
_AUDITED_PASSES = 3
"""Over the texts and canaries of an audited client."""


def memorise(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """One client with few texts and many epochs; and texts that no run has ever seen."""
    row = attacked_row(arguments["row"], recipe=BEST, steps=_MEMORISING_STEPS, rounds=1)
    plan = plan_row(config.replace(clients=1), row)
    world = world_of(config, 1, min(MEMORISED, config.shard))
    client_config = clients_of(plan, arguments["repeat"])
    federated = world.federated(client_config, None, arguments["repeat"], config.run_seed)
    model = _contributed_model(watch(plan, client_config, federated))
    candidates = np.concatenate([world.candidates, world.population])
    return {"signals": pack(signals(model, world, candidates, plan))}


def _contributed_model(watched: Watched) -> nn.Module:
    """The model that the only client's first contribution makes."""
    return contributed_models(watched.view("server"), watched.setup, 1)[0]


def update_of_few_texts(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """Which words and texts a batch holds, judged by one client's first update."""
    row = attacked_row(arguments["row"])
    row = replace(
        row, recipe=_update_recipe(arguments), options={**row.options, "scheme": "bert"},
        steps=arguments["steps"], rounds=1,
    )  # fmt: skip
    plan = plan_row(config.replace(clients=1, most_steps=None), row)
    world = world_of(config, config.clients, config.shard)
    batch = arguments["batch"]
    words, texts = [], []
    for trial in range(arguments["trials"]):
        rng = generator(config.run_seed, f"privacy/step/{batch}", trial)
        rows = np.sort(rng.choice(world.candidates, batch, replace=False))
        client_config = clients_of(plan, trial)
        federated = FederatedDataset(client_config, world.dataset, (rows, world.newcomer), None)
        watched = watch(plan, client_config, federated)
        model, after = start_model(watched.setup), to_state(_contributed_model(watched))
        moved = moved_rows(to_state(model), after)
        true_words = words_of(federated, 0, plan.given.max_length)
        words.append(vocabulary_recovery(moved.tolist(), true_words))
        if arguments["steps"] == 1 and isinstance(model, BertClassifier):
            guesses = texts_of_step(model, after, watched.setup.recipe, batch, rng)
            texts.append(recovery(guesses, _texts(world, rows, plan.given.max_length)))
    return {"words": words, "texts": texts}


def _update_recipe(arguments: Arguments) -> Recipe:
    optimiser = arguments["optimiser"]
    return USUAL.replace(
        optimiser=optimiser, learning_rate=1e-3 if optimiser == "adamw" else 1.0,
        batch_size=arguments["batch"], schedule="constant", warmup=0.0,
        max_length=arguments["length"],
    )  # fmt: skip


def _texts(world: World, rows: Rows, max_length: int) -> list[list[int]]:
    ids, sizes = world.dataset.table.padded(rows, max_length)
    return [text[:size].tolist() for text, size in zip(ids, sizes, strict=True)]


def audited_steps(config: PrivacyOptions) -> int:
    """Steps of an audited run: the client has half of the canaries beside its texts."""
    texts = config.shard + config.audit_secrets // 2
    return max(1, _AUDITED_PASSES * texts // BEST.batch_size)


def audit_run(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """One run with canaries that coins decide on, and what can be said of the coins."""
    epsilon, repeat = arguments["epsilon"], arguments["repeat"]
    row = attacked_row(
        arguments["row"],
        recipe=BEST.replace(schedule="constant"),
        steps=audited_steps(config),
        rounds=1,
    )
    plan = plan_row(config.replace(clients=1), row)
    world = world_of(config, config.clients, config.shard)
    rng = generator(config.run_seed, "privacy/audit", repeat)
    count = config.audit_secrets
    table = with_texts(world.dataset.table, *canary_texts(count, world.dataset.labels, rng))
    canaries = np.arange(len(world.dataset.table.labels), len(table.labels))
    inside = rng.integers(2, size=count).astype(np.bool_)
    shard = np.concatenate([world.candidates[: config.shard], canaries[inside]])
    world = replace(world, dataset=replace(world.dataset, table=table))
    client_config, claimed = clients_of(plan, repeat), None
    federated = FederatedDataset(client_config, world.dataset, (shard, world.newcomer), None)
    if epsilon is not None:
        client_config, claimed = _defended(client_config, config, epsilon, plan.given, federated)
        federated = replace(federated, config=client_config)
    watched = watch(replace(plan, federated=federated), client_config, federated)
    scores = _rise(watched, world, canaries, plan)
    return {"audit": audit(scores, inside, config.delta), "claimed": claimed}


def _rise(watched: Watched, world: World, rows: Rows, plan: Plan) -> NDArray[np.float64]:
    """How much surer of some texts the client's model is than the one it started from."""
    after, before = _contributed_model(watched), start_model(watched.setup)
    return signals(after, world, rows, plan) - signals(before, world, rows, plan)


def _defended(
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
