"""What messages stand for: models and numbers, made of payloads by anybody who knows the protocol.

A run's configuration, seed and public texts are public; so is the protocol. Whoever reads a
contribution can do with it what the server does: put it into an aggregate of its own, alone, and
look at the model that comes out.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.attacks.observer import View
from fedseed.attacks.word_counts import Reading, named_words
from fedseed.coding.vectors import Words
from fedseed.data.shard import Shard
from fedseed.data.tokens import TokenTable
from fedseed.discovery import load
from fedseed.errors import WireError
from fedseed.linear.seen_counts import SeenCounts
from fedseed.protocols.base import ClientTask, ProtocolServer, Setup


class Numbers(Protocol):
    """How a protocol whose contributions make no model reads its payloads as numbers.

    ``Protocol.numbers`` names a function from a :class:`~fedseed.protocols.base.Setup` to one of
    these. Payloads of one kind have to give equally many numbers in every run.
    """

    def of_contribution(self, payload: bytes) -> Sequence[float]:
        """What came up from one client in one round, as finite numbers."""

    def of_download(self, payload: bytes) -> Sequence[float]:
        """What went down in one round, or the final result, as finite numbers."""


def makes_models(setup: Setup) -> bool:
    """Whether a contribution alone makes a model."""
    return "model" in setup.protocol.reveals


def contributed_models(view: View, setup: Setup, round_number: int) -> dict[int, nn.Module]:
    """The model that each contribution of a round alone makes, by partition.

    Earlier rounds are replayed with all replies that the view holds; an observer who misses some
    of them can only replay round 1.

    Args:
        view: of an observer who sees replies.
        setup: what is public.
        round_number: the round, from 1.

    Raises:
        WireError: a reply of the round makes no model.
    """
    replies = view.replies(round_number)
    earlier = [view.replies(number) for number in range(1, round_number)]
    checkpoint = _replayed(setup, earlier).checkpoint()
    models: dict[int, nn.Module] = {}
    for pid, payload in replies.items():
        if checkpoint is None:  # a server whose contributions are enough
            server = _replayed(setup, earlier)
        else:
            server = setup.protocol.make_server(setup)
            server.restore(checkpoint)
        server.configure(round_number, sorted(replies))
        report = server.aggregate(round_number, {pid: payload})[pid]
        model = server.model()
        if report.status != "ok" or model is None:
            raise WireError(f"the reply of client {pid} makes no model: {report.reason}")
        models[pid] = model
    return models


def _replayed(setup: Setup, rounds: Sequence[Mapping[int, bytes]]) -> ProtocolServer:
    """A server that has been given the replies of some rounds, from the first."""
    server: ProtocolServer = setup.protocol.make_server(setup)
    for number, replies in enumerate(rounds, 1):
        server.configure(number, sorted(replies))
        server.aggregate(number, replies)
    return server


def downloaded_models(view: View, setup: Setup) -> list[nn.Module]:
    """The models that what went down stands for, in order, the final result last.

    The model of round 1, which is public, is left out.
    """
    client = setup.protocol.make_client(
        setup.options, trainer=setup.trainer, public=setup.public
    )  # fmt: skip
    payloads = [*view.downloads()[1:], *([view.result] if view.result else [])]
    memory: dict[str, bytes] = {"seed": setup.seed}
    nobody = np.random.Generator(np.random.PCG64(0))  # a result that holds a model draws nothing
    tasks = [ClientTask(payload, _no_texts(), memory, nobody) for payload in payloads]
    return [client.grow(task)[0] for task in tasks]


def _no_texts() -> Shard:
    nothing = np.empty(0, dtype=np.int64)
    return Shard(TokenTable(nothing, np.zeros(1, dtype=np.int64), nothing), nothing, nothing)


def start_model(setup: Setup) -> nn.Module:
    """The model that round 1 starts from: the server's before any round.

    Raises:
        ValueError: the protocol's server has no model.
    """
    model: nn.Module | None = setup.protocol.make_server(setup).model()
    if model is None:
        raise ValueError(f"the server of protocol {setup.protocol.name} has no model")
    return model


def contributed_numbers(view: View, setup: Setup) -> dict[int, NDArray[np.float64]]:
    """All that each client sent, as one vector of numbers, by partition.

    Args:
        view: of an observer who sees replies.
        setup: what is public; the protocol has to name its ``numbers``.
    """
    numbers = _numbers_of(setup)
    values: dict[int, list[float]] = {}
    for round_number in view.rounds():
        for pid, payload in view.replies(round_number).items():
            values.setdefault(pid, []).extend(numbers.of_contribution(payload))
    return {pid: np.array(vector) for pid, vector in values.items()}


def downloaded_numbers(view: View, setup: Setup) -> NDArray[np.float64]:
    """All that went down, the final result last, as one vector of numbers."""
    numbers = _numbers_of(setup)
    payloads = [*view.downloads(), *([view.result] if view.result else [])]
    return np.array([value for payload in payloads for value in numbers.of_download(payload)])


def contributed_words(view: View, setup: Setup) -> dict[int, NDArray[np.int64]]:
    """The words that each client's first contribution names, by partition.

    Args:
        view: of an observer who sees replies.
        setup: what is public.

    Returns:
        Word ids, ascending; nothing where the protocol names no words.
    """
    if setup.protocol.words is None:
        return {}
    reading: Reading = load(setup.protocol.words)(setup)
    seen = contributed_counts(view, setup)
    return {
        pid: named_words(seen[pid]) if pid in seen else reading.named(payload)
        for pid, payload in sorted(view.replies(1).items())
    }


def contributed_counts(view: View, setup: Setup) -> dict[int, SeenCounts]:
    """The counts of words that came up from each client in round 1, by partition.

    Args:
        view: of an observer who sees replies.
        setup: what is public.

    Returns:
        Nothing where no counts travel.
    """
    if setup.protocol.words is None:
        return {}
    reading: Reading = load(setup.protocol.words)(setup)
    counts = {pid: reading.counts(payload) for pid, payload in sorted(view.replies(1).items())}
    return {pid: seen for pid, seen in counts.items() if seen is not None}


def summed_counts(sums: Sequence[tuple[Words, int]], setup: Setup) -> SeenCounts:
    """The counts of words that a server knows under secure aggregation: of all clients together.

    Args:
        sums: of every round, the sum and the number of clients.
        setup: what is public; the protocol has to name its ``words``.

    Raises:
        ValueError: the protocol's contributions hold no counts.
    """
    if setup.protocol.words is None:
        raise ValueError(f"protocol {setup.protocol.name} names no words")
    reading: Reading = load(setup.protocol.words)(setup)
    return functools.reduce(SeenCounts.plus, (reading.of_sum(*summed) for summed in sums))


def _numbers_of(setup: Setup) -> Numbers:
    place = setup.protocol.numbers
    if place is None:
        raise ValueError(f"protocol {setup.protocol.name} names no numbers")
    numbers: Numbers = load(place)(setup)
    return numbers
