"""Flower's strategies as aggregators: what they compute, their state, and too few clients."""

import numpy as np
import pytest
from flwr.serverapp import strategy as flower
from flwr.supercore.task_identity import TaskIdentity

from fedseed.errors import WireError
from fedseed.federation import strategies
from fedseed.federation.strategies import FlowerAggregator, make_aggregator
from fedseed.protocols.fedavg import Aggregator, FedAvg
from fedseed.protocols.weights.strategies import STRATEGIES

START = np.zeros(4, np.float32)
HONEST = [np.array([1, 2, 3, 4], np.float32) + np.float32(0.01) * n for n in range(4)]
LIAR = np.array([1000, -1000, 1000, -1000], np.float32)


@pytest.fixture(autouse=True)
def _identity() -> None:
    """What a message takes from the process of a run."""
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


def aggregate(aggregator: Aggregator, vectors: list[np.ndarray], number: int = 1) -> np.ndarray:
    for place, vector in enumerate(vectors):
        aggregator.add(vector, 10 * (place + 1))
    return aggregator.finish(START, number)


def test_the_mean_is_that_of_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(strategies._MAKE, "fedavg", flower.FedAvg)
    ours, theirs = aggregate(FedAvg(), HONEST), aggregate(FlowerAggregator("fedavg"), HONEST)
    assert np.allclose(ours, theirs, rtol=1e-6)
    assert isinstance(make_aggregator("fedavg"), FedAvg)


@pytest.mark.parametrize("name", ["fedmedian", "fedtrimmedavg", "krum", "multikrum"])
def test_one_liar_does_not_move_a_robust_strategy(name: str) -> None:
    mean = aggregate(make_aggregator(name), [*HONEST, LIAR])
    assert np.abs(mean - HONEST[0]).max() < 0.1
    assert np.abs(aggregate(FedAvg(), [*HONEST, LIAR]) - HONEST[0]).max() > 100


@pytest.mark.parametrize("name", ["fedmedian", "fedtrimmedavg", "krum", "multikrum"])
def test_with_the_fewest_clients_one_liar_does_no_harm(name: str) -> None:
    honest = [*HONEST, HONEST[0]][: STRATEGIES[name].fewest - 1]
    mean = aggregate(make_aggregator(name), [*honest, LIAR])
    assert np.abs(mean - HONEST[0]).max() < 0.1


@pytest.mark.parametrize("name", ["fedmedian", "fedtrimmedavg"])
def test_with_one_client_fewer_a_liar_moves_the_mean(name: str) -> None:
    honest = HONEST[: STRATEGIES[name].fewest - 2]
    mean = aggregate(make_aggregator(name), [*honest, LIAR])
    assert np.abs(mean - HONEST[0]).max() > 100


def test_an_adaptive_strategy_goes_on_where_it_was() -> None:
    whole, again = make_aggregator("fedadam"), make_aggregator("fedadam")
    aggregate(whole, HONEST)
    again.load(whole.save())
    assert np.array_equal(aggregate(whole, HONEST, 2), aggregate(again, HONEST, 2))
    fresh = aggregate(make_aggregator("fedadam"), HONEST, 2)
    assert not np.array_equal(fresh, aggregate(again, HONEST, 2))
    with pytest.raises(WireError, match="another strategy"):
        make_aggregator("krum").load(whole.save())
    with pytest.raises(WireError):
        FedAvg().load(b"1234")


def test_every_strategy_can_be_made() -> None:
    assert {"fedavg", *strategies._MAKE} == set(STRATEGIES)
    for name in STRATEGIES:
        assert aggregate(make_aggregator(name), HONEST).shape == (4,)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_single_client(name: str) -> None:
    mean = aggregate(make_aggregator(name), HONEST[:1])
    if name != "fedadam":  # whose step is its own
        assert np.array_equal(mean, HONEST[0])
