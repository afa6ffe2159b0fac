"""What messages stand for: models and numbers, made of payloads by anybody who knows the protocol.

A run's configuration, seed and public texts are public; so is the protocol. Whoever reads a
contribution can do with it what the server does: put it into an aggregate of its own, alone, and
look at the model that comes out.
"""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.attacks.observer import View
from fedseed.errors import WireError
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ProtocolServer, Setup
from fedseed.protocols.recipe_messages import SCORE_BYTES, RecipeScore, decode_request
from fedseed.seeds.assemble import grow

MODEL_PROTOCOLS = ("weights", "adapters", "labels", "scalars", "mask")
"""Protocols whose contributions stand for a model."""
_MOST_LOSS = 10.0


def _server(setup: Setup) -> ProtocolServer:
    return find_protocol(setup.config.protocol).server(setup)


def contributed_models(view: View, setup: Setup, round_number: int) -> dict[int, nn.Module]:
    """The model that each contribution of a round alone makes, by partition.

    Earlier rounds are replayed with all replies that the view holds; an observer who misses some
    of them can only replay round 1.

    Args:
        view: of an observer who sees replies.
        setup: what is public.
        round_number: the round, from 1.

    Raises:
        WireError: a reply of the round cannot be decoded.
    """
    server = _server(setup)
    for earlier in range(1, round_number):
        server.aggregate(earlier, view.replies(earlier))
    state = server.checkpoint()
    assert state is not None
    models: dict[int, nn.Module] = {}
    for pid, payload in view.replies(round_number).items():
        alone = _server(setup)
        alone.restore(state)
        report = alone.aggregate(round_number, {pid: payload})[pid]
        model = alone.model()
        if report.status != "ok" or model is None:
            raise WireError(f"the reply of client {pid} stands for no model: {report.reason}")
        models[pid] = model
    return models


def downloaded_models(view: View, setup: Setup) -> list[nn.Module]:
    """The models that what went down stands for, in order, the final result last.

    The seed's own model, which is public, is left out.
    """
    client = find_protocol(setup.config.protocol).client(setup.trainer, setup.public)
    payloads = [*view.downloads()[1:], *([view.result] if view.result else [])]
    memory: dict[str, bytes] = {"seed": setup.seed}
    nobody = np.random.Generator(np.random.PCG64(0))  # a result that holds a model draws nothing
    texts = setup.public.table if setup.public else None
    empty = np.empty(0, dtype=np.int64)
    models = []
    for payload in payloads:
        model, _ = client.grow(payload, texts, empty, memory, nobody)  # type: ignore[arg-type]
        models.append(model)
    return models


def start_model(setup: Setup) -> nn.Module:
    """The seed's model, from which round 1 starts."""
    return grow(setup.seed)


def score_vectors(view: View, each: int) -> dict[int, NDArray[np.float64]]:
    """All scores of the ``recipe`` protocol as one vector of numbers for each client.

    Args:
        view: of an observer who sees replies.
        each: recipes a client tries in a round.

    Returns:
        By partition, shape ``(rounds * each * 4,)``: share right, losses of validation and
        training (at most 10 nats), and whether training diverged.
    """
    found: dict[int, list[float]] = {}
    for number in view.rounds():
        for pid, payload in view.replies(number).items():
            for at in range(0, each * SCORE_BYTES, SCORE_BYTES):
                score = RecipeScore.decode(payload[at : at + SCORE_BYTES])
                found.setdefault(pid, []).extend(_numbers(score))
    return {pid: np.array(numbers) for pid, numbers in found.items()}


def _numbers(score: RecipeScore) -> list[float]:
    right = score.validation_correct / max(1, score.validation_examples)
    losses = [min(_MOST_LOSS, x) for x in (score.validation_loss, score.train_loss)]
    return [right, *losses, float(score.diverged)]


def recipe_vector(view: View, setup: Setup) -> NDArray[np.float64]:
    """The recipes that went down, and the final one, as logarithms of their rates."""
    memory: dict[str, bytes] = {"seed": setup.seed}
    numbers: list[float] = []
    for payload in [*view.downloads(), *([view.result] if view.result else [])]:
        for recipe in decode_request(payload, memory)[1]:
            numbers += [np.log(recipe.learning_rate), np.log(recipe.embedding_multiplier)]
    return np.array(numbers)
