"""Noised counts: their bytes, what the server makes of them, and how much noise there is."""

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.errors import WireError
from fedseed.linear.bounded_counts import from_numbers
from fedseed.linear.buckets import names
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask
from fedseed.protocols.lexicon.noisy_counts import (
    NoisyCounts,
    decode_noisy_counts,
    encode_noisy_counts,
)
from fedseed.randomness import generator
from fedseed.runs.plan import Plan, make_plan
from tests.test_cli import refused

PRIVATE = {"protocol": "lexicon", "estimate": "counts", "rounds": 1, "privacy": "example"}
BUCKETS = 40


def numbers(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-900, 900, 2 * (2 + BUCKETS))


def test_bytes_come_back() -> None:
    rng, tokens = np.random.default_rng(2), names(BUCKETS)
    for _ in range(5):
        sent = numbers(rng)
        body = encode_noisy_counts(from_numbers(sent, 2, tokens), BUCKETS)
        assert np.array_equal(decode_noisy_counts(body, 2, BUCKETS), sent)


def test_hostile_bytes_are_refused() -> None:
    rng = np.random.default_rng(3)
    body = encode_noisy_counts(from_numbers(numbers(rng), 2, names(BUCKETS)), BUCKETS)
    for cut in (0, 5, 16, len(body) - 1):
        with pytest.raises(WireError):
            decode_noisy_counts(body[:cut], 2, BUCKETS)
    for _ in range(300):
        noise = bytearray(body)
        for place in rng.integers(0, len(noise), 3):
            noise[place] = int(rng.integers(256))
        with contextlib.suppress(WireError):
            assert decode_noisy_counts(bytes(noise), 2, BUCKETS).shape == (2 * (2 + BUCKETS),)


def test_a_server_goes_on_from_its_state() -> None:
    rng, defence = np.random.default_rng(4), Defence("example", noise=6.0, share=0.25)
    one, other = (NoisyCounts(2, BUCKETS, 16, defence) for _ in range(2))
    one.take_sum(3, numbers(rng), 3)
    other.load(one.save())
    assert other.save() == one.save()
    assert other._sum.noise == one._sum.noise == pytest.approx(3 * 36 / 4)
    with pytest.raises(WireError):
        other.load(one.save()[:-8])


def noise_of_a_client(plan: Plan) -> np.ndarray:
    """What a client adds to its numbers: the difference of two draws."""
    config, server = plan.config, plan.server()
    payload, defence = server.configure(1, [0])[0], plan.setup().defence
    found = []
    for draw in (1, 2):
        client = find_protocol("lexicon").make_client(config.options, defence=defence)
        rng = generator(draw, "train", 1, 0)
        task = ClientTask(payload, plan.federated.shard(0), {}, rng)
        found.append(client.addend(task, config.cohort_size).view(np.int32))
    difference: np.ndarray = found[0] - found[1]
    return difference


@pytest.mark.parametrize(("secure", "clients"), [(False, 1), (True, 2)])
def test_clients_add_their_share_of_the_noise(
    small: dict[str, Any], secure: bool, clients: int
) -> None:
    plan = make_plan(
        RunConfig.parse(small | PRIVATE | {"epsilon": 2.0, "secure_aggregation": secure})
    )
    assert plan.budget is not None
    assert plan.budget.noise is not None
    assert plan.budget.epsilon <= 2.0
    expected = plan.budget.noise / np.sqrt(clients) * np.sqrt(2)
    assert noise_of_a_client(plan)[2:].std() == pytest.approx(expected, rel=0.02)


def test_examples_are_not_told(small: dict[str, Any]) -> None:
    plan = make_plan(RunConfig.parse(small | PRIVATE | {"epsilon": 2.0}))
    server = plan.server()
    client = find_protocol("lexicon").make_client(plan.config.options, defence=plan.setup().defence)
    task = ClientTask(
        server.configure(1, [0])[0], plan.federated.shard(0), {}, generator(0, "train", 1, 0)
    )
    again = replace(task, memory={}, rng=generator(0, "train", 1, 0))
    assert int.from_bytes(client.contribute(task)[:4], "little") == 1
    assert client.addend(again, 3)[0] == 1
    with pytest.raises(WireError, match="only once"):
        client.addend(again, 3)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"epsilon": 1, "rounds": 2}, "use --rounds 1"),
    ({"epsilon": 1, "estimate": "logistic"}, "use --estimate counts"),
    ({"epsilon": 1, "clip": 1}, "leave it out"),
    ({"epsilon": 1, "buckets": 100}, "give less than 50, half of --buckets"),
    ({"epsilon": 1, "privacy": "client"}, "largest norm of a client's counts, such as 30"),
    ({}, "needs --epsilon"),
]


@pytest.mark.parametrize(("change", "says"), BAD, ids=[f"{c}" for c, _ in BAD])
def test_bad_options(command: Any, tmp_path: Any, change: dict[str, Any], says: str) -> None:
    refused(command(out=tmp_path / "out", **(PRIVATE | change)), says)
