"""Federated runs that are watched: what every observer can compute from what it sees."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.attacks.membership import logit_confidence
from fedseed.attacks.observer import View, view_of
from fedseed.attacks.replay import (
    MODEL_PROTOCOLS,
    contributed_models,
    downloaded_models,
    recipe_vector,
    score_vectors,
    start_model,
)
from fedseed.attacks.vocabulary import moved_rows, vocabulary_recovery
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.splits import Rows
from fedseed.federation.engines import Grid, run_local
from fedseed.federation.history import History
from fedseed.federation.session import Session
from fedseed.models.registry import to_state
from fedseed.protocols import find_protocol
from fedseed.protocols.base import Setup
from fedseed.randomness import generator
from fedseed.runs.plan import Plan
from fedseed.studies.privacy.world import World
from fedseed.training import Trainer
from fedseed.transcript import Transcript

WORD_PROTOCOLS = ("weights", "adapters", "mask", "scalars")
"""Protocols in which something about every row of the word embedding comes up."""


@dataclass(frozen=True)
class Watched:
    """A finished run: what crossed the wire, and what was public beforehand."""

    transcript: Transcript
    result: bytes
    setup: Setup

    def view(self, observer: str) -> View:
        """What an observer sees; links and other clients are client 0."""
        return view_of(self.transcript, observer, self.result)


def watch(plan: Plan, client_config: RunConfig, federated: FederatedDataset) -> Watched:
    """Run all rounds in this process, and keep what crossed the wire.

    Args:
        plan: the run as the server and everybody knows it.
        client_config: what the clients draw their random choices from.
        federated: the shards.
    """
    config, transcript = plan.config, Transcript(keep_all=True)
    results: list[bytes] = []

    def serve(grid: Grid, _run_config: object = None) -> None:
        server = plan.server()
        Session(grid, len(federated.parts), History(transcript)).train(server, config)
        results.append(server.products()["aggregated"])

    run_local(client_config, serve, None, federated)
    return Watched(transcript, results[0], plan.setup())


def signals(model: nn.Module, world: World, rows: Rows, plan: Plan) -> NDArray[np.float64]:
    """Logit-scaled confidence of a model in some texts' labels, shape ``(rows,)``."""
    table = world.dataset.table
    found = Trainer(plan.compute).predict(model, table, rows, plan.max_length)
    return logit_confidence(found.astype(np.float64), table.labels[rows])


def observe(
    watched: Watched, world: World, plan: Plan, federated: FederatedDataset
) -> dict[str, Any]:
    """Everything that the attacks start from, by observer, as JSON."""
    views = {name: watched.view(name) for name in ("server", "eavesdropper", "client", "newcomer")}
    sizes = {name: view.payload_bytes() for name, view in views.items()}
    found: dict[str, Any] = {"payload_bytes": sizes}
    if plan.config.protocol in MODEL_PROTOCOLS:
        found |= _models(watched, views, world, plan, federated)
    else:
        found |= _vectors(watched, views, world, plan)
    return found


def _models(
    watched: Watched,
    views: Mapping[str, View],
    world: World,
    plan: Plan,
    federated: FederatedDataset,
) -> dict[str, Any]:
    last = plan.config.rounds
    setup = watched.setup
    first = contributed_models(views["server"], setup, 1)
    latest = first if last == 1 else contributed_models(views["server"], setup, last)
    down = downloaded_models(views["client"], setup)
    canaries = {
        "server": _canaries(latest, world, plan), "newcomer": _canaries(down[-1], world, plan)
    }  # fmt: skip
    final = _asked(down[-1], world, plan)
    on_the_way = [_asked(model, world, plan) for model in down[:-1]]
    models = {
        "server": [_asked(latest[pid], world, plan) for pid in sorted(latest)],
        "newcomer": [final],
        "client": [np.mean([*on_the_way, final], axis=0)],
    }
    same = last == 1
    models["eavesdropper"] = (
        models["server"] if same else [_asked(first[pid], world, plan) for pid in sorted(first)]
    )
    return {
        "signals": {name: [pack(one) for one in own] for name, own in models.items()},
        "canaries": canaries, "words": _words(first, setup, federated, plan),
    }  # fmt: skip


def _asked(model: nn.Module, world: World, plan: Plan) -> NDArray[np.float64]:
    """Signals of the candidates, then of the population."""
    return signals(model, world, np.concatenate([world.candidates, world.population]), plan)


def _canaries(
    models: nn.Module | Mapping[int, nn.Module], world: World, plan: Plan
) -> dict[str, list[list[float]]]:
    """Losses of every canary under its label, and of the references under the same label."""
    losses: dict[str, list[list[float]]] = {"canary": [], "references": []}
    table = world.dataset.table
    rows = np.concatenate([world.canaries, world.references])
    cache: dict[int, NDArray[np.float32]] = {}
    for place, row in enumerate(world.canaries):
        owner = world.canary_owner(place)
        model = models if isinstance(models, nn.Module) else models[owner]
        if id(model) not in cache:
            cache[id(model)] = Trainer(plan.compute).predict(model, table, rows, plan.max_length)
        label = table.labels[row]
        own = -cache[id(model)][:, label].astype(np.float64)
        losses["canary"].append([float(own[place])])
        losses["references"].append([round(float(x), 5) for x in own[len(world.canaries) :]])
    return losses


def _words(
    models: Mapping[int, nn.Module], setup: Setup, federated: FederatedDataset, plan: Plan
) -> list[dict[str, Any]]:
    """How much of each client's vocabulary its first contribution names."""
    if setup.config.protocol not in WORD_PROTOCOLS:
        return []
    before = to_state(_before(setup))
    found = []
    for pid, model in sorted(models.items()):
        rows = moved_rows(before, to_state(model))
        found.append(vocabulary_recovery(rows.tolist(), words_of(federated, pid, plan.max_length)))
    return found


def _before(setup: Setup) -> nn.Module:
    """The model that round 1 starts from; of the masks the weights times their prior."""
    if setup.config.protocol != "mask":
        return start_model(setup)
    server = find_protocol("mask").server(setup)
    model = server.model()
    assert model is not None
    return model


def words_of(federated: FederatedDataset, partition_id: int, max_length: int) -> list[int]:
    """All word ids in a client's texts, as far as a model sees them: the truth."""
    shard = federated.shard(partition_id)
    ids, _ = shard.table.padded(shard.whole(), max_length)
    return [int(word) for word in np.unique(ids)]


def _vectors(
    watched: Watched, views: Mapping[str, View], world: World, plan: Plan
) -> dict[str, Any]:
    """Without models: scores and recipes as numbers, and what a newcomer makes of the result."""
    setup, each = watched.setup, plan.config.recipes_per_client
    scores = score_vectors(views["server"], each)
    client = find_protocol(plan.config.protocol).client(Trainer(plan.compute), setup.public)
    rng = generator(plan.config.run_seed, "privacy/newcomer")
    table = world.dataset.table
    model, _ = client.grow(watched.result, table, world.newcomer, {"seed": setup.seed}, rng)
    return {
        "vectors": {
            "server": [scores[pid].tolist() for pid in sorted(scores)],
            "eavesdropper": [scores[pid].tolist() for pid in sorted(scores)],
            "client": [recipe_vector(views["client"], setup).tolist()],
        },
        "signals": {"newcomer": [pack(_asked(model, world, plan))]},
        "canaries": {"newcomer": _canaries(model, world, plan)}, "words": [],
    }  # fmt: skip


def mix_features(watched: Watched, world: World, plan: Plan) -> list[list[float]]:
    """What each client's first contribution says about its class mix, one vector a client."""
    view = watched.view("server")
    if plan.config.protocol not in MODEL_PROTOCOLS:
        scores = score_vectors(view, plan.config.recipes_per_client)
        return [scores[pid].tolist() for pid in sorted(scores)]
    table = world.dataset.table
    found = []
    for _, model in sorted(contributed_models(view, watched.setup, 1).items()):
        own = Trainer(plan.compute).predict(model, table, world.population, plan.max_length)
        margin = (own[:, 1:] - own[:, :1]).astype(np.float64)
        found.append([*np.exp(own[:, 1:]).mean(axis=0), *np.tanh(margin).mean(axis=0)])
    return [[float(x) for x in one] for one in found]


def pack(numbers: NDArray[np.float64]) -> str:
    """Numbers as text, in fp32."""
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def unpack(text: str) -> NDArray[np.float64]:
    """Numbers of :func:`pack`."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
