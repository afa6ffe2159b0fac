"""Federated runs that are watched: what every observer can compute from what it sees."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.attacks.evidence import pack
from fedseed.attacks.membership.scores import logit_confidence
from fedseed.attacks.observer import View, view_of
from fedseed.attacks.replay import (
    contributed_counts,
    contributed_models,
    contributed_numbers,
    contributed_words,
    downloaded_models,
    downloaded_numbers,
    makes_models,
    start_model,
    summed_counts,
)
from fedseed.attacks.tokens.vocabulary import moved_rows, vocabulary_recovery
from fedseed.attacks.word_counts import Known, count_signals
from fedseed.coding.vectors import Words
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.shard import Shard
from fedseed.data.splits import Rows
from fedseed.federation.engines import Grid, run_local
from fedseed.federation.history import History
from fedseed.federation.session import Session
from fedseed.linear.seen_counts import SeenCounts
from fedseed.models.registry import to_state
from fedseed.protocols.base import ClientTask, Report, Setup
from fedseed.randomness import generator
from fedseed.runs.plan import Plan
from fedseed.studies.privacy.world import World
from fedseed.training import Trainer
from fedseed.transcript import Transcript


@dataclass(frozen=True)
class Watched:
    """A finished run: what crossed the wire, and what was public beforehand."""

    transcript: Transcript
    result: bytes
    setup: Setup
    sums: Sequence[tuple[Words, int]] = ()
    """What the server learnt of every round under secure aggregation: the sum, and of how many."""

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
    sums: list[tuple[Words, int]] = []

    def serve(grid: Grid, _run_config: object = None) -> None:
        server = plan.server()
        aggregate = server.aggregate_sum

        def listening(round_number: int, total: Words, clients: Sequence[int]) -> dict[int, Report]:
            sums.append((total.copy(), len(clients)))
            return aggregate(round_number, total, clients)

        server.aggregate_sum = listening  # type: ignore[method-assign]
        Session(grid, len(federated.parts), History(transcript)).train(server, config)
        results.append(server.products()["aggregated"])

    run_local(client_config, serve, None, federated)
    return Watched(transcript, results[0], plan.setup(), sums)


def signals(
    model: nn.Module, world: World, rows: Rows, plan: Plan, max_length: int | None = None
) -> NDArray[np.float64]:
    """Logit-scaled confidence of a model in some texts' labels, shape ``(rows,)``.

    Args:
        model: asked for its likelihoods.
        world: has the texts.
        rows: which of them.
        plan: the run.
        max_length: tokens kept of a text; as in the run when None.
    """
    table, length = world.dataset.table, max_length or plan.max_length
    likelihoods = Trainer(plan.compute).predict(model, table, rows, length)
    return logit_confidence(likelihoods.astype(np.float64), table.labels[rows])


def observe(
    watched: Watched, world: World, plan: Plan, federated: FederatedDataset
) -> dict[str, Any]:
    """Everything that the attacks start from, by observer, as JSON."""
    views = {name: watched.view(name) for name in ("server", "eavesdropper", "client", "newcomer")}
    sizes = {name: view.payload_bytes() for name, view in views.items()}
    if watched.sums:
        seen = _seen_in_sums(watched, views, world, plan)
    elif makes_models(watched.setup):
        seen = _seen_in_models(watched, views, world, plan, federated)
    else:
        seen = _seen_without_models(watched, views, world, plan)
    return {"payload_bytes": sizes, **seen}


def _seen_in_models(
    watched: Watched,
    views: Mapping[str, View],
    world: World,
    plan: Plan,
    federated: FederatedDataset,
) -> dict[str, Any]:
    """What the models say that contributions and downloads stand for."""
    setup, last_round = watched.setup, plan.config.rounds
    first = contributed_models(views["server"], setup, 1)
    latest = first if last_round == 1 else contributed_models(views["server"], setup, last_round)
    downloaded = downloaded_models(views["client"], setup)
    canaries = {
        "server": _canary_losses(latest, world, plan),
        "newcomer": _canary_losses(downloaded[-1], world, plan),
    }  # fmt: skip
    final = _candidate_signals(downloaded[-1], world, plan)
    earlier = [_candidate_signals(model, world, plan) for model in downloaded[:-1]]
    by_observer = {
        "server": [_candidate_signals(latest[pid], world, plan) for pid in sorted(latest)],
        "newcomer": [final],
        "client": [np.mean([*earlier, final], axis=0)],
    }
    by_observer["eavesdropper"] = (
        by_observer["server"] if last_round == 1
        else [_candidate_signals(first[pid], world, plan) for pid in sorted(first)]
    )  # fmt: skip
    counted = _seen_in_counts(views["server"], setup, world, plan)
    by_observer |= {"summed": by_observer["client"]} | counted
    return {
        "signals": {name: [pack(values) for values in all_] for name, all_ in by_observer.items()},
        "canaries": canaries, "words": _named_words(views["server"], first, setup, federated, plan),
    }  # fmt: skip


def _seen_in_sums(
    watched: Watched, views: Mapping[str, View], world: World, plan: Plan
) -> dict[str, Any]:
    """What the sums say that the server learnt, and the result; of one round of counts.

    Masked vectors are uniform: whoever reads a link has what everybody downloads.
    """
    model = downloaded_models(views["client"], watched.setup)[-1]
    final = pack(_candidate_signals(model, world, plan))
    rows = np.concatenate([world.candidates, world.population])
    known = Known.of(world.dataset.table, rows, plan.max_length)
    counts = summed_counts(watched.sums, watched.setup)
    summed = pack(count_signals(counts, known))
    losses = _canary_losses(model, world, plan)
    return {
        "signals": {
            "server": [summed], "eavesdropper": [final], "client": [final], "newcomer": [final],
        },
        "canaries": {"server": losses, "newcomer": losses}, "words": [],
    }  # fmt: skip


def _seen_in_counts(
    view: View, setup: Setup, world: World, plan: Plan
) -> dict[str, list[NDArray[np.float64]]]:
    """What counts of words say, where they travel: of each client's, and of all clients' sum."""
    seen = list(contributed_counts(view, setup).values())
    if not seen:
        return {}
    rows = np.concatenate([world.candidates, world.population])
    known = Known.of(world.dataset.table, rows, plan.max_length)
    by_client = [count_signals(counts, known) for counts in seen]
    summed = [count_signals(functools.reduce(SeenCounts.plus, seen), known)]
    return {"server": by_client, "eavesdropper": by_client, "summed": summed}


def _candidate_signals(model: nn.Module, world: World, plan: Plan) -> NDArray[np.float64]:
    """Signals of the candidates, then of the population."""
    return signals(model, world, np.concatenate([world.candidates, world.population]), plan)


def _canary_losses(
    models: nn.Module | Mapping[int, nn.Module], world: World, plan: Plan
) -> dict[str, list[list[float]]]:
    """Losses of every canary under its label, and of the references under the same label.

    Args:
        models: one model, or each client's, which is asked for the client's canaries.
        world: the canaries, and who holds them.
        plan: the run.
    """
    losses: dict[str, list[list[float]]] = {"canary": [], "references": []}
    table = world.dataset.table
    rows = np.concatenate([world.canaries, world.references])
    predictions: dict[int, NDArray[np.float32]] = {}
    for place, row in enumerate(world.canaries):
        model = models if isinstance(models, nn.Module) else models[world.canary_owner(place)]
        if id(model) not in predictions:
            trainer = Trainer(plan.compute)
            predictions[id(model)] = trainer.predict(model, table, rows, plan.max_length)
        under_label = -predictions[id(model)][:, table.labels[row]].astype(np.float64)
        references = under_label[len(world.canaries) :]
        losses["canary"].append([float(under_label[place])])
        losses["references"].append([round(float(loss), 5) for loss in references])
    return losses


def _named_words(
    view: View,
    models: Mapping[int, nn.Module],
    setup: Setup,
    federated: FederatedDataset,
    plan: Plan,
) -> list[dict[str, Any]]:
    """How much of each client's vocabulary its first contribution names."""
    if "word_rows" not in setup.protocol.reveals:
        return []
    named = contributed_words(view, setup)
    if not named:
        before = to_state(start_model(setup))
        named = {pid: moved_rows(before, to_state(model)) for pid, model in models.items()}
    return [
        vocabulary_recovery(words.tolist(), words_of(federated, pid, plan.max_length))
        for pid, words in sorted(named.items())
    ]


def words_of(federated: FederatedDataset, partition_id: int, max_length: int) -> list[int]:
    """All word ids in a client's texts, as far as a model sees them: the truth."""
    shard = federated.shard(partition_id)
    ids, _ = shard.table.padded(shard.whole(), max_length)
    return [int(word) for word in np.unique(ids)]


def _seen_without_models(
    watched: Watched, views: Mapping[str, View], world: World, plan: Plan
) -> dict[str, Any]:
    """What is sent as numbers, where there are any; what a newcomer makes of the result."""
    setup = watched.setup
    model = _newcomer_model(watched, world, plan)
    vectors: dict[str, list[list[float]]] = {}
    if setup.protocol.numbers is not None:
        sent = contributed_numbers(views["server"], setup)
        by_client = [sent[pid].tolist() for pid in sorted(sent)]
        vectors = {
            "server": by_client, "eavesdropper": by_client,
            "client": [downloaded_numbers(views["client"], setup).tolist()],
        }  # fmt: skip
    return {
        "vectors": vectors,
        "signals": {"newcomer": [pack(_candidate_signals(model, world, plan))]},
        "canaries": {"newcomer": _canary_losses(model, world, plan)}, "words": [],
    }  # fmt: skip


def _newcomer_model(watched: Watched, world: World, plan: Plan) -> nn.Module:
    """The model that a newcomer makes of the final result, with its own texts if it trains."""
    setup = watched.setup
    client = setup.protocol.make_client(
        setup.options, trainer=Trainer(plan.compute), public=setup.public
    )  # fmt: skip
    shard = Shard(world.dataset.table, world.newcomer, world.newcomer[:0])
    rng = generator(plan.config.run_seed, "privacy/newcomer")
    model: nn.Module = client.grow(ClientTask(watched.result, shard, {"seed": setup.seed}, rng))[0]
    return model


def class_mix_features(watched: Watched, world: World, plan: Plan) -> list[list[float]]:
    """What each client's first contribution says about its class mix, one vector a client."""
    view = watched.view("server")
    if not makes_models(watched.setup):
        sent = contributed_numbers(view, watched.setup)
        return [sent[pid].tolist() for pid in sorted(sent)]
    table, trainer = world.dataset.table, Trainer(plan.compute)
    features = []
    for _, model in sorted(contributed_models(view, watched.setup, 1).items()):
        likelihoods = trainer.predict(model, table, world.population, plan.max_length)
        others = likelihoods[:, 1:]
        margin = (others - likelihoods[:, :1]).astype(np.float64)
        features.append([*np.exp(others).mean(axis=0), *np.tanh(margin).mean(axis=0)])
    return [[float(value) for value in vector] for vector in features]
