"""The weights protocol's two sides, without Flower: averaging, poison, loss, checkpoints."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedseed.config import RunConfig
from fedseed.data.site import Site, open_site
from fedseed.errors import WireError
from fedseed.growing import grow
from fedseed.models.registry import to_state
from fedseed.protocols.weights import (
    WeightsClient,
    WeightsServer,
    decode_download,
    encode_download,
)
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.base import digest
from fedseed.seeds.codec import encode
from fedseed.seeds.random import random_seed
from fedseed.training import FitJob, Trainer

SEED = encode(random_seed("bert-tiny", 2, 1, "scaled"))
RECIPE = Recipe(optimiser="adamw", learning_rate=1e-3, steps=2, batch_size=8, max_length=16)
SIZE = 5


def server(parameters: int = SIZE) -> WeightsServer:
    return WeightsServer(SEED, Recipe(), RECIPE, parameters)


def up(examples: int, weights: Any, steps: int = 2, loss: float = 0.5) -> bytes:
    return struct.pack("<IIf", examples, steps, loss) + np.asarray(weights, "<f4").tobytes()


def average(found: WeightsServer) -> np.ndarray:
    memory: dict[str, bytes] = {}
    weights = decode_download(found.products()["aggregated"], memory)[2]
    assert weights is not None
    return weights


def test_download_round_trip() -> None:
    memory: dict[str, bytes] = {}
    weights = np.arange(SIZE, dtype=np.float32)
    first = decode_download(encode_download(SEED, digest(SEED), RECIPE, None), memory)
    assert first == (SEED, RECIPE, None)
    later = encode_download(None, digest(SEED), RECIPE, weights)
    seed, recipe, found = decode_download(later, memory)
    assert (seed, recipe) == (SEED, RECIPE)
    assert found is not None
    assert np.array_equal(found, weights)


@given(cut=st.integers(0, 200))
def test_a_cut_download_is_refused(cut: int) -> None:
    whole = encode_download(SEED, digest(SEED), RECIPE, np.ones(SIZE, np.float32))
    if cut < len(whole) and (len(whole) - cut) % 4:
        with pytest.raises(WireError):
            decode_download(whole[:cut], {})


def test_average_in_proportion_to_examples_in_any_order() -> None:
    parts = {0: up(10, [1, 2, 3, 4, 5]), 3: up(30, [5, 4, 3, 2, 1]), 1: up(60, [0, 0, 1, 0, 0])}
    wanted = np.average([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [0, 0, 1, 0, 0]], 0, [10, 30, 60])
    for order in ((0, 1, 3), (3, 1, 0)):
        found = server()
        reports = found.aggregate(1, {pid: parts[pid] for pid in order})
        assert [reports[pid].examples for pid in (0, 3, 1)] == [10, 30, 60]
        assert np.allclose(average(found), wanted)


def test_one_client_is_the_identity() -> None:
    found = server()
    found.aggregate(1, {7: up(10, [1, 2, 3, 4, 5])})
    assert np.array_equal(average(found), [1, 2, 3, 4, 5])


POISON = {
    "nan": up(10, [np.nan] * SIZE),
    "infinity": up(10, [1, 2, np.inf, 4, 5]),
    "huge": up(10, [1e30] * SIZE),
    "short": up(10, [1.0] * (SIZE - 1)),
    "long": up(10, [1.0] * (SIZE + 1)),
    "empty": b"",
    "no examples": up(0, [9] * SIZE),
    "many examples": up(2**32 - 1, [9] * SIZE),
    "more steps than asked for": up(10, [9] * SIZE, steps=3),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_rejected_by_name(name: str) -> None:
    found = server()
    reports = found.aggregate(1, {0: up(10, [1, 2, 3, 4, 5]), 1: POISON[name]})
    assert (reports[0].status, reports[1].status) == ("ok", "rejected")
    assert reports[1].reason
    assert np.array_equal(average(found), [1, 2, 3, 4, 5])
    found.glance(POISON[name])


def test_a_round_without_replies_keeps_the_average() -> None:
    found = server()
    found.aggregate(1, {0: up(10, [1, 2, 3, 4, 5])})
    assert found.aggregate(2, {}) == {}
    assert np.array_equal(average(found), [1, 2, 3, 4, 5])


def test_only_those_that_replied_hold_the_seed() -> None:
    found = server()
    found.aggregate(1, {0: up(10, [1, 2, 3, 4, 5])})
    later = found.configure(2, [0, 1])
    assert len(later[0]) < len(later[1])
    with pytest.raises(WireError, match="never sent"):
        decode_download(later[0], {})
    assert decode_download(later[1], {})[0] == SEED


def test_checkpoint_round_trip() -> None:
    found, again = server(), server()
    found.aggregate(1, {0: up(10, [1, 2, 3, 4, 5])})
    checkpoint = found.checkpoint()
    assert checkpoint is not None
    again.restore(checkpoint)
    assert again.configure(2, [0, 1]) == found.configure(2, [0, 1])
    for bad in (b"", checkpoint[:3], checkpoint[:-4], checkpoint[:-1], b"\xff" * 40):
        with pytest.raises(WireError):
            server().restore(bad)


@pytest.fixture
def site(small: dict[str, Any]) -> Site:
    return open_site(RunConfig.parse(small))


def test_a_client_sends_its_weights_after_training(site: Site) -> None:
    shard = site.shard(0)
    payload = encode_download(SEED, digest(SEED), RECIPE, None)
    reply = WeightsClient().contribute(payload, shard, {}, generator(0, "train", 1, 0))
    model = grow(SEED)
    rng = generator(0, "train", 1, 0)
    Trainer().fit(FitJob(model, shard.table, shard.whole(), RECIPE, rng))
    flat = np.concatenate([part.ravel() for part in to_state(model).values()])
    assert np.array_equal(np.frombuffer(reply[12:], "<f4"), flat)
    assert struct.unpack_from("<II", reply) == (len(shard.whole()), 2)


def test_the_average_is_used_as_it_is(site: Site) -> None:
    shard = site.shard(0)
    found = server(4_386_178)
    start = np.concatenate([part.ravel() for part in to_state(grow(SEED)).values()])
    found.aggregate(1, {0: up(10, start + 1e-3)})
    payload = found.products()["aggregated"]
    model, length = WeightsClient().grow(
        payload, shard.table, shard.whole(), {}, generator(0, "evaluate", 0, 0)
    )
    assert length == 16
    flat = np.concatenate([part.ravel() for part in to_state(model).values()])
    assert np.allclose(flat, start + 1e-3)


def test_weights_of_another_model(site: Site) -> None:
    payload = encode_download(SEED, digest(SEED), RECIPE, np.ones(7, np.float32))
    with pytest.raises(WireError, match="do not fit"):
        WeightsClient().contribute(payload, site.shard(0), {}, generator(0, "t"))
