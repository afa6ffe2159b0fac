"""A seed's shares of the classes, which gentle training must not move."""

from typing import Any

import numpy as np
import pytest
import torch

from fedseed.config import RunConfig
from fedseed.protocols.recipe.shares import TEXTS, keep_shares, knows
from fedseed.recipe import Recipe
from fedseed.recipe_search.space import KNOWING, RANDOM, RecipeSpace
from fedseed.runs.plan import make_plan
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(torch.from_numpy(logits).log_softmax(1))


@pytest.mark.parametrize("classes", [2, 5, 77])
def test_the_mean_probabilities_come_back(classes: int) -> None:
    rng = np.random.default_rng(classes)
    model = grow(encode(random_seed("bert-tiny", classes, 3, "scaled")))
    before = rng.normal(0, 2, (TEXTS, classes)).astype(np.float32)
    moved = before + rng.normal(0, 1, before.shape) + rng.normal(0, 2, classes)
    after = moved.astype(np.float32)
    bias = model.get_parameter("classifier.bias").detach().numpy().copy()
    keep_shares(model, log_softmax(before), log_softmax(after))
    shift = model.get_parameter("classifier.bias").detach().numpy() - bias
    wanted = np.exp(log_softmax(before)).mean(axis=0)
    found = np.exp(log_softmax(after + shift)).mean(axis=0)
    assert abs(shift.mean()) < 1e-5
    assert np.allclose(found, wanted, atol=0.003)


def test_nothing_is_shifted_where_nothing_moved() -> None:
    model = grow(encode(random_seed("bert-tiny", 3, 3, "scaled")))
    same = log_softmax(np.random.default_rng(0).normal(0, 3, (50, 3)).astype(np.float32))
    keep_shares(model, same, same)
    assert torch.allclose(model.get_parameter("classifier.bias"), torch.zeros(3), atol=1e-6)


def test_only_seeds_of_texts_know(small: dict[str, Any]) -> None:
    assert not knows(encode(random_seed("bert-tiny", 2, 3, "scaled")))
    plan = make_plan(RunConfig.parse(small | {"start": "lexicon", "words": 40}))
    server = plan.server()
    client = _client(plan)
    payloads = server.configure(1, [0, 1])
    server.aggregate(1, {pid: client(pid, payload) for pid, payload in payloads.items()})
    seed = server.seed()
    assert seed is not None
    assert knows(seed)
    down = server.configure(2, [0])[0]
    assert len(client(0, down, number=2)) == 29


def _client(plan: Any) -> Any:
    from flwr.app import Context, Message, RecordDict
    from flwr.supercore.task_identity import TaskIdentity

    from fedseed.federation.client import Client, Given
    from fedseed.protocols.base import ClientTask
    from fedseed.randomness import generator

    context = Context(1, 1, {"partition-id": 0}, RecordDict(), {})
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    message = Message(RecordDict(), 1, "train", group_id="1")
    given = Given(plan.config, None, plan.federated)
    client = Client(given, message, context).protocol_client()
    memories: dict[int, dict[str, bytes]] = {}

    def contribute(pid: int, payload: bytes, number: int = 1) -> bytes:
        memory = memories.setdefault(pid, {})
        rng = generator(0, "train", number, pid)
        answer: bytes = client.contribute(
            ClientTask(payload, plan.federated.shard(pid), memory, rng)
        )
        return answer

    return contribute


def test_the_space_of_a_seed_that_knows() -> None:
    given = Recipe(batch_size=33)
    usual, gentle = (RecipeSpace.around(given, 90, box) for box in (RANDOM, KNOWING))
    assert (usual.base.batch_size, gentle.base.batch_size) == (33, 16)
    rng = np.random.default_rng(0)
    rates = [gentle.recipe(point).learning_rate for point in gentle.spread(50, rng)]
    assert min(rates) >= KNOWING.learning_rates[0]
    assert max(rates) <= KNOWING.learning_rates[1] < RANDOM.learning_rates[1]
    assert RecipeSpace.around(Recipe(batch_size=1), 9, KNOWING).base.batch_size == 1
