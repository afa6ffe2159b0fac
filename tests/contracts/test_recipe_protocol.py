"""The recipe protocol's two sides, without Flower: round trips, loss, poison, privacy."""

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_federated_dataset
from fedseed.errors import WireError
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask, ProtocolServer, Setup
from fedseed.protocols.recipe import RecipeOptions
from fedseed.protocols.recipe.client import RecipeClient
from fedseed.protocols.recipe.messages import SCORE_BYTES, RecipeScore
from fedseed.protocols.recipe.server import RecipeServer
from fedseed.protocols.request import SeedBroadcast, decode_request
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.base import digest
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Trainer
from tests.contracts.protocol_contract import ProtocolContract, World

SEED = encode(random_seed("bert-tiny", 2, 1, "scaled"))
BROADCAST = SeedBroadcast(SEED)
RECIPES = [Recipe(steps=1), Recipe(steps=2)]
GOOD = RecipeScore(False, 90, 80, 20, 15, 0.6, 0.5)


def server(each: int = 1) -> RecipeServer:
    setup = Setup(
        protocol=find_protocol("recipe"), options=RecipeOptions(recipes_per_client=each),
        seed=SEED, given=Recipe(), rounds=3, steps=90 * each, cohort_size=10, run_seed=0,
        model="bert-tiny", classes=2, shapes={}, trainer=Trainer(),
    )  # fmt: skip
    return RecipeServer(setup)


def client() -> RecipeClient:
    return RecipeClient(RecipeOptions())


def test_request_round_trip() -> None:
    memory: dict[str, bytes] = {}
    assert decode_request(BROADCAST.request(RECIPES, held=False), memory) == (
        SEED,
        RECIPES,
    )
    assert decode_request(BROADCAST.request(RECIPES, held=True), memory) == (
        SEED,
        RECIPES,
    )


def test_sizes() -> None:
    assert len(BROADCAST.request(RECIPES[:1], held=False)) <= 160
    assert len(BROADCAST.request(RECIPES[:1], held=True)) <= 128
    assert len(GOOD.encode()) == SCORE_BYTES <= 64


def test_a_digest_of_a_seed_never_sent() -> None:
    with pytest.raises(WireError, match="never sent"):
        decode_request(BROADCAST.request(RECIPES, held=True), {})


def prefixes() -> st.SearchStrategy[bytes]:
    """Beginnings that get ever further before something is wrong."""
    known = b"\x00" + digest(SEED)
    sent = b"\x01" + len(SEED).to_bytes(4, "little") + SEED
    starts = [b"", b"\x00", b"\x01", known, sent, known + b"\x01", sent + b"\x02"]
    return st.sampled_from([*starts, known + b"\x02" + Recipe().encode()])


@given(prefixes(), st.binary(max_size=200))
def test_hostile_requests(prefix: bytes, rest: bytes) -> None:
    payload = prefix + rest
    try:
        seed, recipes = decode_request(payload, {"seed": SEED})
    except WireError:
        return
    again = (
        SeedBroadcast(seed).request(recipes, held=False),
        BROADCAST.request(recipes, held=True),
    )
    assert payload in again


def test_clients_that_replied_get_the_digest_only() -> None:
    found = server()
    first = found.configure(1, [0, 1, 2])
    found.aggregate(1, {0: GOOD.encode(), 2: b"garbage"})
    second = found.configure(2, [0, 1, 2])
    assert len(second[0]) < len(second[1]) == len(second[2]) == len(first[0])


def poison() -> list[bytes]:
    """Contributions that no honest client sends."""
    scores = [
        RecipeScore(False, 90, 80, 20, 15, math.nan, 0.5),
        RecipeScore(False, 90, 80, 20, 15, 1e300, 0.5),
        RecipeScore(False, 90, 80, 20, 15, -1.0, 0.5),
        RecipeScore(False, 90, 80, 20, 15, math.inf, 0.5),
        RecipeScore(False, 90, 80, 20, 15, 0.5, math.nan),
        RecipeScore(False, 90, 80, 20, 21, 0.0, 0.5),
        RecipeScore(False, 90, 80, 0, 0, 0.0, 0.5),
        RecipeScore(False, 90, 0, 20, 15, 0.0, 0.5),
        RecipeScore(False, 90, 80, 2**32 - 1, 15, 0.0, 0.5),
        RecipeScore(True, 90, 80, 2**31, 0, math.inf, math.inf),
        RecipeScore(False, 2**32 - 1, 80, 20, 15, 0.5, 0.5),
        RecipeScore(False, 90, 80, 20, 15, 0.5, -7.0),
        RecipeScore(False, 90, 80, 20, 0, 0.0, 0.5),  # all wrong, and yet no loss
        RecipeScore(False, 90, 80, 20, 10, 0.3, 0.5),  # half wrong: at least ln(2) / 2
    ]
    negative = struct.pack("<BIiiIdf", 0, 90, -80, -20, 15, 0.0, 0.5)
    return [*(score.encode() for score in scores), negative, b"", b"x", GOOD.encode() * 2]


@pytest.mark.parametrize("bad", poison())
def test_poison_neither_crashes_nor_steers(bad: bytes) -> None:
    def run(contributions: Callable[[int], dict[int, bytes]]) -> tuple[RecipeServer, list[Any]]:
        found, reports = server(), []
        for number in (1, 2, 3):
            found.configure(number, [0, 1, 2])
            reports.append(found.aggregate(number, contributions(number)))
        return found, reports

    def good(number: int, pid: int) -> bytes:
        return RecipeScore(False, 90, 80, 20, 15, 0.5 + 0.01 * pid * number, 0.5).encode()

    without, _ = run(lambda number: {0: good(number, 0), 1: good(number, 1)})
    with_poison, reports = run(lambda number: {0: good(number, 0), 1: good(number, 1), 2: bad})
    assert with_poison.aggregated() == without.aggregated()
    for report in reports:
        assert report[0].status == "ok"
        assert report[2].status == "rejected"
        assert report[2].reason


def test_an_honest_divergence_counts_against_its_recipe() -> None:
    found = server()
    sent = found.configure(1, [0, 1])
    _, bad = decode_request(sent[0], {})
    diverged = RecipeScore(True, 3, 80, 20, 0, math.inf, math.inf)
    reports = found.aggregate(1, {0: diverged.encode(), 1: GOOD.encode()})
    assert reports[0].status == "ok"
    assert reports[0].metrics["recipes"][0]["validation_loss"] is None
    assert found.aggregated().learning_rate != bad[0].learning_rate


def test_resume_by_handing_over_the_same_contributions() -> None:
    def contributions(number: int) -> dict[int, bytes]:
        score = RecipeScore(False, 90, 80, 20, 15, 0.5 + 0.01 * number, 0.5)
        return {pid: score.encode() for pid in range(4)}

    def run() -> tuple[dict[int, bytes], dict[str, bytes]]:
        found = server()
        for number in (1, 2):
            found.configure(number, range(4))
            found.aggregate(number, contributions(number))
        return found.configure(3, range(4)), found.products()

    assert run() == run()


def test_a_client_trains_scores_and_tells_nothing_else(small: dict[str, Any]) -> None:
    federated = open_federated_dataset(RunConfig.parse(small))
    shard = federated.shard(0)
    request = BROADCAST.request([Recipe(steps=2, batch_size=4, max_length=16)] * 2, held=False)
    memory: dict[str, bytes] = {}
    reply = client().contribute(ClientTask(request, shard, memory, generator(0, "train", 1, 0)))
    scores = [RecipeScore.decode(reply[:SCORE_BYTES]), RecipeScore.decode(reply[SCORE_BYTES:])]
    assert len(reply) == 2 * SCORE_BYTES
    assert memory == {"seed": SEED}
    for score in scores:
        assert (score.steps, score.diverged) == (2, False)
        assert score.train_examples == len(shard.train)
        assert score.validation_examples == len(shard.validation)
        assert 0 < score.validation_loss < 2


def test_divergence_is_reported_not_hidden(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedseed.training import FitResult

    shard = open_federated_dataset(RunConfig.parse(small)).shard(0)
    result = FitResult(steps=7, train_loss=math.nan, diverged=True)
    monkeypatch.setattr("fedseed.training.Trainer.fit", lambda *_: result)
    request = BROADCAST.request([Recipe(max_length=16)], held=False)
    score = RecipeScore.decode(
        client().contribute(ClientTask(request, shard, {}, generator(0, "t")))
    )
    assert (score.diverged, score.steps, score.validation_loss) == (True, 7, math.inf)


def test_products_grow_models(small: dict[str, Any]) -> None:
    import torch

    federated = open_federated_dataset(RunConfig.parse(small))
    products = server().products()
    assert list(products) == ["given", "aggregated"]
    recipe = Recipe(steps=1, max_length=16)
    request = BROADCAST.request([recipe], held=False)
    model, length = client().grow(ClientTask(request, federated.shard(3), {}, generator(0, "t")))
    assert length == 16
    assert isinstance(model, torch.nn.Module)
    assert np.isfinite(model.classifier.weight.detach().numpy()).all()  # type: ignore[union-attr,operator]


class TestRecipeContract(ProtocolContract):
    protocol = "recipe"

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        """The aggregate of one trial is its recipe."""
        assert isinstance(server, RecipeServer)
        tried = decode_request(world.plan.server().configure(1, [1])[1], {})[1][0]
        found = server.aggregated()
        assert found.learning_rate == pytest.approx(tried.learning_rate)
        assert found.embedding_multiplier == pytest.approx(tried.embedding_multiplier)

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        score = RecipeScore.decode(contribution)
        absurd = {
            "a loss that is not a number": {"validation_loss": math.nan},
            "more correct than examples": {"validation_correct": score.validation_examples + 1},
            "more steps than asked for": {"steps": 10**6},
            "no examples": {"train_examples": 0},
        }
        changed = {n: replace(score, **change).encode() for n, change in absurd.items()}
        return changed | {"long": contribution + bytes(1)}
