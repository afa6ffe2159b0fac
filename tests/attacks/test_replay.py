"""What messages stand for: replayed from views, whether a server has a checkpoint or not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fedseed.attacks.observer import View
from fedseed.attacks.replay import (
    contributed_models,
    contributed_numbers,
    downloaded_models,
    downloaded_numbers,
    makes_models,
    start_model,
)
from fedseed.config import RunConfig
from fedseed.models.registry import to_state
from fedseed.protocols.base import ClientTask, Setup
from fedseed.protocols.weights.server import WeightsServer
from fedseed.randomness import generator
from fedseed.runs.plan import Plan, make_plan
from fedseed.transcript import TRAIN, Exchange


class WithoutCheckpoint(WeightsServer):
    """A server for which the contributions in the transcript are enough."""

    def checkpoint(self) -> Any:
        return None


def two_rounds(plan: Plan) -> View:
    """What the server sees of two rounds with two clients."""
    setup = plan.setup()
    server = plan.server()
    client = setup.protocol.make_client(setup.options, public=setup.public)
    memories: dict[int, dict[str, bytes]] = {0: {}, 1: {}}
    exchanges = []
    for number in (1, 2):
        payloads = server.configure(number, [0, 1])
        replies = {}
        for pid, payload in payloads.items():
            rng = generator(0, "train", number, pid)
            task = ClientTask(payload, plan.federated.shard(pid), memories[pid], rng)
            replies[pid] = client.contribute(task)
            exchange = Exchange(TRAIN, str(number), pid, "ok", payload, 0, replies[pid], 0, "")
            exchanges.append(exchange)
        assert all(r.status == "ok" for r in server.aggregate(number, replies).values())
    return View("server", tuple(exchanges), server.products()["aggregated"])


@pytest.fixture
def weights_plan(small: dict[str, Any]) -> Plan:
    return make_plan(RunConfig.parse(small | {"protocol": "weights", "steps": 2}))


def test_a_server_without_checkpoint_is_replayed_alike(weights_plan: Plan) -> None:
    view, setup = two_rounds(weights_plan), weights_plan.setup()
    assert makes_models(setup)
    place = f"{__name__}:WithoutCheckpoint"
    forgetful = replace(setup, protocol=replace(setup.protocol, server=place))
    for number in (1, 2):
        expected = contributed_models(view, setup, number)
        replayed = contributed_models(view, forgetful, number)
        assert sorted(replayed) == [0, 1]
        for pid, model in replayed.items():
            state = to_state(expected[pid])
            assert all(np.array_equal(part, state[name]) for name, part in to_state(model).items())


def test_downloads_are_the_means_of_contributions(weights_plan: Plan) -> None:
    view, setup = two_rounds(weights_plan), weights_plan.setup()
    assert len(downloaded_models(view, setup)) == 2
    final = to_state(downloaded_models(view, setup)[-1])
    sent = [to_state(model) for model in contributed_models(view, setup, 2).values()]
    sizes = [len(weights_plan.federated.shard(pid).whole()) for pid in (0, 1)]
    for name, part in final.items():
        mean = np.average([state[name] for state in sent], axis=0, weights=sizes)
        assert np.allclose(part, mean, atol=1e-6)


def test_where_no_model_travels_there_are_numbers(small: dict[str, Any]) -> None:
    plan = make_plan(RunConfig.parse(small | {"protocol": "recipe", "steps": 2}))
    view, setup = two_rounds(plan), plan.setup()
    assert not makes_models(setup)
    numbers = contributed_numbers(view, setup)
    assert {pid: len(vector) for pid, vector in numbers.items()} == {0: 8, 1: 8}
    assert len(downloaded_numbers(view, setup)) == 6
    assert all(np.isfinite(vector).all() for vector in numbers.values())
    with pytest.raises(ValueError, match="has no model"):
        start_model(setup)


def test_numbers_are_asked_of_a_protocol_that_names_them(weights_plan: Plan) -> None:
    setup: Setup = weights_plan.setup()
    with pytest.raises(ValueError, match="names no numbers"):
        downloaded_numbers(View("client", (), b""), setup)
