"""The cells of the privacy study: watched runs, audits, and accuracy under a budget."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fedseed.attacks.audit import audit
from fedseed.attacks.gradient_inversion import recovery, texts_of_step
from fedseed.attacks.replay import contributed_models, start_model
from fedseed.attacks.vocabulary import moved_rows, vocabulary_recovery
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.privacy.budget import within_budget
from fedseed.protocols.rows import ALONE, BEST, USUAL
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.runs.plan import Plan, make_plan
from fedseed.studies.base import dataset_of
from fedseed.studies.comparison.cells import FederatedRun
from fedseed.studies.privacy.crafted import ask_for_words
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.watched_runs import (
    mix_features,
    observe,
    pack,
    signals,
    watch,
    words_of,
)
from fedseed.studies.privacy.world import World, make_world, secrets, with_texts
from fedseed.studies.rows import ROWS, Row, run_config

DEFENDED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "weights": ("example", {"privacy": "example"}),
    "labels": ("client", {"privacy": "client"}),
    "recipe": ("client", {"privacy": "client"}),
}
"""What a budget protects in each row whose accuracy is measured under it, and its options."""
MEMORISED = 100
"""Texts of the client whose model is made to memorise."""
_MEMORISING = Row("weights of one client, many epochs", "weights", BEST, steps=300, rounds=1)
_DISTIL = 200
"""Steps of distillation: the attacker makes a model of every client's labels."""
_QUICKER = ALONE.replace(learning_rate=1e-3, embedding_multiplier=3.0)
"""Of labels: what the comparison trained with before a lower rate was found better there."""
_ROWS = {**ROWS, "labels": replace(ROWS["labels"], recipe=_QUICKER)}
"""The attacked rows."""


@functools.lru_cache(maxsize=4)
def plan_of(config_json: str, name: str) -> Plan:
    """The attacked run of a row, as everybody knows it."""
    config = PrivacyOptions.model_validate_json(config_json)
    return _plan(config, _ROWS[name])


def _plan(config: PrivacyOptions, row: Row, **more: Any) -> Plan:
    options = {**row.options}
    if "distil_steps" in options:
        options["distil_steps"] = _DISTIL
    run, recipe = run_config(config, replace(row, options=options | more), "iid", "", 0)
    return make_plan(run, given=recipe)


@functools.lru_cache(maxsize=4)
def world_of(config_json: str, clients: int, shard: int) -> World:
    """Candidates and canaries."""
    config = PrivacyOptions.model_validate_json(config_json)
    return make_world(
        dataset_of(config), clients, shard, config.population, config.references, config.run_seed
    )


def clients_of(plan: Plan, repeat: int) -> RunConfig:
    """The configuration that the clients of a repeat draw their choices from."""
    values = plan.config.model_dump() | {"run_seed": plan.config.run_seed + 1 + repeat}
    return plan.config.parse(values)


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell."""
    config = PrivacyOptions.model_validate_json(config_json)
    what = arguments["what"]
    if what == "run":
        return _run(config_json, config, arguments)
    if what == "mix":
        return _mix(config_json, config, arguments)
    if what == "memorise":
        return _memorise(config_json, config, arguments["repeat"])
    if what == "step":
        return _one_step(config_json, config, arguments)
    if what == "audit":
        return _audit(config_json, config, arguments)
    if what == "crafted":
        return _crafted(config_json, config, arguments["repeat"])
    return _accuracy(config, arguments)


def _run(config_json: str, config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    plan, repeat = plan_of(config_json, arguments["row"]), arguments["repeat"]
    world = world_of(config_json, config.clients, config.shard)
    own = clients_of(plan, repeat)
    federated = world.federated(own, plan.federated.public, repeat, config.run_seed)
    return observe(watch(plan, own, federated), world, plan, federated)


def _mix(config_json: str, config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    whole, repeat = plan_of(config_json, arguments["row"]), arguments["repeat"]
    values = whole.config.model_dump() | {"rounds": 1} | whole.config.protocol_options()
    plan = replace(whole, config=whole.config.parse(values))
    world = world_of(config_json, config.clients, config.shard)
    own = clients_of(plan, repeat)
    federated = world.skewed_dataset(own, plan.federated.public, repeat, config.run_seed)
    counts = federated.label_counts()[: config.clients]
    return {
        "features": mix_features(watch(plan, own, federated), world, plan),
        "shares": [[one / sum(client) for one in client] for client in counts],
    }  # fmt: skip


def _memorise(config_json: str, config: PrivacyOptions, repeat: int) -> dict[str, Any]:
    """One client with few texts and many epochs; and texts that no run has ever seen."""
    plan = _plan(config.parse(config.model_dump() | {"clients": 1}), _MEMORISING)
    world = world_of(config_json, 1, min(MEMORISED, config.shard))
    own = clients_of(plan, repeat)
    federated = world.federated(own, None, repeat, config.run_seed)
    watched = watch(plan, own, federated)
    model = contributed_models(watched.view("server"), watched.setup, 1)[0]
    candidates = np.concatenate([world.candidates, world.population])
    return {"signals": pack(signals(model, world, candidates, plan))}


def _one_step(
    config_json: str, config: PrivacyOptions, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Which words a few texts hold, judged by one client's first weights."""
    batch, steps, optimiser = (arguments[name] for name in ("batch", "steps", "optimiser"))
    recipe = USUAL.replace(
        optimiser=optimiser, learning_rate=1e-3 if optimiser == "adamw" else 1.0,
        batch_size=batch, schedule="constant", warmup=0.0, max_length=arguments["length"],
    )  # fmt: skip
    row = Row("a few texts", "weights", recipe, {"scheme": "bert"}, steps=steps, rounds=1)
    plan = _plan(config.parse(config.model_dump() | {"clients": 1, "most_steps": None}), row)
    world = world_of(config_json, config.clients, config.shard)
    found: dict[str, list[Any]] = {"words": [], "texts": []}
    for trial in range(arguments["trials"]):
        rng = generator(config.run_seed, f"privacy/step/{batch}", trial)
        rows = np.sort(rng.choice(world.candidates, batch, replace=False))
        own = clients_of(plan, trial)
        federated = FederatedDataset(own, world.dataset, (rows, world.newcomer), None)
        watched = watch(plan, own, federated)
        after = to_state(contributed_models(watched.view("server"), watched.setup, 1)[0])
        model = start_model(watched.setup)
        assert isinstance(model, BertClassifier)
        moved = moved_rows(to_state(model), after)
        true = words_of(federated, 0, recipe.max_length)
        found["words"].append(vocabulary_recovery(moved.tolist(), true))
        if steps == 1:
            guessed = texts_of_step(model, after, watched.setup.recipe, batch, rng)
            ids, sizes = world.dataset.table.padded(rows, recipe.max_length)
            texts = [text[:size].tolist() for text, size in zip(ids, sizes, strict=True)]
            found["texts"].append(recovery(guessed, texts))
    return found


def _audit(
    config_json: str, config: PrivacyOptions, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """One run with secrets that coins decide on, and what can be told of the coins."""
    epsilon, repeat = arguments["epsilon"], arguments["repeat"]
    row = Row("one client", "weights", BEST.replace(schedule="constant"), steps=150, rounds=1)
    plan = _plan(config.parse(config.model_dump() | {"clients": 1}), row)
    world = world_of(config_json, config.clients, config.shard)
    rng = generator(config.run_seed, "privacy/audit", repeat)
    count = config.audit_secrets
    table = with_texts(world.dataset.table, *secrets(count, rng))
    rows = np.arange(len(world.dataset.table.labels), len(table.labels))
    inside = rng.integers(2, size=count).astype(np.bool_)
    shard = np.concatenate([world.candidates[: config.shard], rows[inside]])
    dataset = replace(world.dataset, table=table)
    own = clients_of(plan, repeat)
    federated = FederatedDataset(own, dataset, (shard, world.newcomer), None)
    claimed = None
    if epsilon is not None:
        own, budget = _defended(own, config, epsilon, plan.given, federated)
        claimed = budget
        federated = replace(federated, config=own)
    watched = watch(replace(plan, federated=federated), own, federated)
    model = contributed_models(watched.view("server"), watched.setup, 1)[0]
    there = replace(world, dataset=dataset)
    scores = signals(model, there, rows, plan) - signals(
        start_model(watched.setup), there, rows, plan
    )
    found = audit(scores, inside, config.delta)
    return {"audit": found, "claimed": claimed}


def _defended(
    run: RunConfig,
    config: PrivacyOptions,
    epsilon: float,
    given: Recipe,
    federated: FederatedDataset,
) -> tuple[RunConfig, float]:
    """A run's options under DP-SGD within a budget, and what it spends."""
    options = {
        "privacy": "example", "epsilon": epsilon, "delta": config.delta, "clip": config.clip,
    }  # fmt: skip
    asked = run.parse(run.model_dump() | options)
    resolved, budget = within_budget(asked, given, federated)
    assert budget is not None
    return resolved, budget.epsilon


def _crafted(config_json: str, config: PrivacyOptions, repeat: int) -> dict[str, Any]:
    """What a server that chooses the seed learns of words under the recipe protocol."""
    plan = plan_of(config_json, "recipe")
    world = world_of(config_json, config.clients, config.shard)
    own = clients_of(plan, repeat)
    federated = world.federated(own, None, repeat, config.run_seed)
    return ask_for_words(plan, own, federated, world.population)


def _accuracy(config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy of a protocol under a budget, on shards of all training texts."""
    name, epsilon, repeat = (arguments[key] for key in ("row", "epsilon", "repeat"))
    options: dict[str, Any] = {}
    if epsilon is not None:
        options = {**DEFENDED[name][1], "epsilon": epsilon, "delta": config.delta}
        if name == "weights":
            options["clip"] = config.clip
    shifted = config.parse(config.model_dump() | {"run_seed": config.run_seed + repeat})
    plan = _plan(shifted, _ROWS[name], **options)
    found = FederatedRun(plan, None).run()
    model = found["final"] or found["newcomers"][0]
    spent = plan.budget.epsilon if plan.budget else None
    return {"counts": model, "spent": spent, "payload_bytes": found["payload_bytes"]}
