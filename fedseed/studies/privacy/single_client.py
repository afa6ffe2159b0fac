"""Cells of a single client: a model that memorises, and updates of a few texts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from fedseed.attacks.evidence import pack
from fedseed.attacks.replay import contributed_models, start_model
from fedseed.attacks.tokens.gradient_inversion import recovery, texts_of_step
from fedseed.attacks.tokens.vocabulary import moved_rows, vocabulary_recovery
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.splits import Rows
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.protocols.rows import BEST, USUAL
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.studies.privacy.attacked_rows import attacked_row
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, plan_row, world_of
from fedseed.studies.privacy.watched_runs import Watched, signals, watch, words_of
from fedseed.studies.privacy.world import World

Arguments = Mapping[str, Any]
"""Of a cell, by name; see :class:`fedseed.studies.cells.Cell`."""
MEMORISED = 100
"""Texts of the client whose model is made to memorise."""
_MEMORISING_STEPS = 300


def memorise(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """One client with few texts and many epochs; and texts that no run has ever seen."""
    row = attacked_row(arguments["row"], recipe=BEST, steps=_MEMORISING_STEPS, rounds=1)
    plan = plan_row(config.replace(clients=1), row)
    world = world_of(config, 1, min(MEMORISED, config.shard))
    client_config = clients_of(plan, arguments["repeat"])
    federated = world.federated(client_config, None, arguments["repeat"], config.run_seed)
    model = contributed_model(watch(plan, client_config, federated))
    candidates = np.concatenate([world.candidates, world.population])
    return {"signals": pack(signals(model, world, candidates, plan))}


def contributed_model(watched: Watched) -> nn.Module:
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
        model, after = start_model(watched.setup), to_state(contributed_model(watched))
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
