"""What clients refuse: more than the privacy budget covers, and other models than their own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError
from fedseed.federation.client import read_products
from fedseed.federation.client_app import client_app
from fedseed.federation.messages import content
from fedseed.federation.secure_aggregation.messages import encode_parts
from fedseed.given_recipe import given_recipe
from fedseed.protocols.request import SeedBroadcast
from fedseed.protocols.shared_model import encode_download
from fedseed.runs.plan import Plan, make_plan
from fedseed.seeds.codec import encode

EXAMPLE = {"protocol": "weights", "privacy": "example", "clip": 1.0}
RECIPE = {"protocol": "recipe", "privacy": "client"}


class Deployed:
    """A client that reads its options from Flower's run_config."""

    def __init__(self, config: RunConfig, plan: Plan, **limits: int | float) -> None:
        self.plan = plan
        named = {name.replace("_", "-"): value for name, value in limits.items()}
        self.app: Callable[..., Message] = client_app(federated=plan.federated)
        self.context = Context(
            1, 1, {"partition-id": 0, **named}, RecordDict(), config.to_run_config()
        )  # fmt: skip

    def train(self, number: int, payload: bytes | None = None) -> Message:
        payload = payload or self.plan.server().configure(1, [0])[0]
        return self.app(Message(content(payload), 1, "train", group_id=str(number)), self.context)

    def test(self, payload: bytes) -> Message:
        return self.app(
            Message(content(payload), 1, "evaluate", group_id="aggregated"), self.context
        )


def deployed(small: dict[str, Any], **options: Any) -> Deployed:
    config = RunConfig.parse(small | options)
    return Deployed(config, make_plan(config))


def test_a_deployed_client_counts_its_texts_once(small: dict[str, Any]) -> None:
    """Noised counts that are asked for twice would be less noised on average."""
    options = {"protocol": "lexicon", "estimate": "counts", "rounds": 1, "privacy": "example"}
    client = deployed(small, **options, epsilon=1.0)
    client.train(1)
    with pytest.raises(WireError, match="round 1 is past"):
        client.train(1)
    with pytest.raises(WireError, match="round 2 is not in the privacy budget"):
        client.train(2)


def test_a_client_answers_no_round_beyond_its_budget(small: dict[str, Any]) -> None:
    plan = make_plan(RunConfig.parse(small | RECIPE | {"noise": 1.0}))
    app: Callable[..., Message] = client_app(plan.config, federated=plan.federated)
    payload = plan.server().configure(1, [0])[0]
    context = Context(1, 1, {"partition-id": 0}, RecordDict(), {})
    app(Message(content(payload), 1, "train", group_id="2"), context)
    with pytest.raises(WireError, match="round 3 is not in the privacy budget"):
        app(Message(content(payload), 1, "train", group_id="3"), context)


def test_a_deployed_client_takes_no_larger_batch_than_its_own_recipe_has(
    small: dict[str, Any],
) -> None:
    config = RunConfig.parse(small | EXAMPLE | {"epsilon": 8.0})
    plan = make_plan(config, given=given_recipe(config).replace(batch_size=33))
    with pytest.raises(WireError, match="batches of 33 are more"):
        Deployed(config, plan).train(1)


def test_a_deployed_client_counts_the_rounds_that_its_epsilon_allows(
    small: dict[str, Any],
) -> None:
    client = deployed(small, **RECIPE, noise=2.0, epsilon=3.5, rounds=50)
    affordable = client.plan.config.rounds
    assert 0 < affordable < 50
    client.train(affordable)
    with pytest.raises(WireError, match="is not in the privacy budget"):
        client.train(affordable + 1)


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "the privacy budget covers it once"), (0, "names no round"), (-1, "names no round")],
)
def test_a_deployed_client_answers_a_round_once(
    small: dict[str, Any], number: int, words: str
) -> None:
    client = deployed(small, **RECIPE, noise=2.0)
    client.train(1)
    with pytest.raises(WireError, match=words):
        client.train(number)
    client.train(2)


def test_a_deployed_client_is_tested_twice_under_a_budget(small: dict[str, Any]) -> None:
    client = deployed(small, **RECIPE, noise=2.0)
    product = client.plan.server().products()["given"]
    client.test(product)
    client.test(product)
    with pytest.raises(WireError, match="more than 2 tests"):
        client.test(product)


@pytest.mark.parametrize("protocol", ["recipe", "weights"])
def test_a_deployed_client_builds_no_model_but_its_own(
    small: dict[str, Any], protocol: str
) -> None:
    client = deployed(small, protocol=protocol)
    plan = client.plan
    for changes in ({"model": "someone/elses"}, {"model": "bert-mini"}, {"labels": 3}):
        other = encode(replace(plan.seed, **changes))
        broadcast = SeedBroadcast(other)
        payload = broadcast.request([plan.given], held=False)
        if protocol == "weights":
            payload = encode_download(broadcast, plan.given, b"")
        for ask in (lambda p=payload: client.train(1, p), lambda p=payload: client.test(p)):
            with pytest.raises(WireError, match="this client's options are for bert-tiny with 2"):
                ask()


@pytest.mark.parametrize("protocol", ["weights", "recipe", "labels", "scalars", "mask"])
def test_a_node_trains_no_more_than_it_allows(small: dict[str, Any], protocol: str) -> None:
    """A million steps is refused before the first of them, whatever the protocol."""
    config = RunConfig.parse(small | {"protocol": protocol, "rounds": 1})
    asked = make_plan(config.replace(steps=1_000_000))
    with pytest.raises(WireError, match="this node allows 20,000,000"):
        Deployed(config, asked).train(1)
    usual = make_plan(config)
    Deployed(config, usual).train(1)
    with pytest.raises(WireError, match="this node allows 5"):
        Deployed(config, usual, most_tokens=5).train(1)


def test_a_node_takes_part_in_no_more_rounds_than_it_allows(small: dict[str, Any]) -> None:
    config = RunConfig.parse(small | {"protocol": "weights"})
    node = Deployed(config, make_plan(config), most_rounds=2)
    with pytest.raises(WireError, match="round 3 is asked for, this node allows 2"):
        node.train(3)


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "takes part under --privacy with --epsilon 4 or less"),
     (RECIPE | {"noise": 2.0}, "takes part under --privacy"),
     (RECIPE | {"epsilon": 8.0}, "epsilon 8 is asked for, this node allows 4")],
)  # fmt: skip
def test_a_node_takes_part_under_its_own_budget(
    small: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    config = RunConfig.parse(small | options)
    with pytest.raises(WireError, match=words):
        Deployed(config, make_plan(config), most_epsilon=4.0).train(1)


@pytest.mark.parametrize("limits", [{"most_rounds": 0}, {"most_tokens": 1.5}, {"smallest_sum": -1}])
def test_limits_that_are_none_are_refused(small: dict[str, Any], limits: dict[str, Any]) -> None:
    config = RunConfig.parse(small | {"protocol": "weights"})
    with pytest.raises(ConfigError, match="give a number above 0"):
        Deployed(config, make_plan(config), **limits).train(1)


@pytest.mark.parametrize(
    ("parts", "names", "said"),
    [
        ({1: b"x"}, b'["aggregated"]', "other products than it holds"),
        ({0: b"x", 1: b"y"}, b'["aggregated"]', "other products than it holds"),
        ({0: b"x"}, b"[1]", "names no products"),
        ({0: b"x"}, b"[" * 100_000, "names no products"),
        ({}, b"[]", "names no products"),
    ],
)
def test_products_and_their_names_have_to_fit(
    parts: dict[int, bytes], names: bytes, said: str
) -> None:
    with pytest.raises(WireError, match=said):
        read_products(encode_parts(parts) + names)


def test_products_come_with_their_names() -> None:
    asked = encode_parts({0: b"x", 1: b"y"}) + b'["given", "aggregated"]'
    assert read_products(asked) == [("given", b"x"), ("aggregated", b"y")]
