"""Flower's strategies as aggregators of vectors: robust and adaptive ones are theirs, not ours."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import strategy as flower

from fedseed.coding.vectors import Vector
from fedseed.errors import WireError
from fedseed.protocols.fedavg import Aggregator, FedAvg

_NAME, _EXAMPLES = "weights", "num-examples"
_MAKE: dict[str, Callable[[], Any]] = {
    "fedadam": lambda: flower.FedAdam(eta=0.01, eta_l=0.01, tau=1e-3),
    "fedmedian": flower.FedMedian,
    "fedtrimmedavg": lambda: flower.FedTrimmedAvg(beta=0.2),
    "krum": lambda: flower.Krum(num_malicious_nodes=1),
    "multikrum": lambda: flower.MultiKrum(num_malicious_nodes=1, num_nodes_to_select=1),
}


def make_aggregator(name: str) -> Aggregator:
    """The aggregator of a strategy: :class:`FedAvg` for fedavg, else Flower's."""
    return FedAvg() if name == "fedavg" else FlowerAggregator(name)


class FlowerAggregator(Aggregator):
    """Hands a round's vectors to one of Flower's strategies. It keeps all of them until then."""

    def __init__(self, name: str) -> None:
        """Make the strategy of a name."""
        logging.getLogger("flwr").setLevel(logging.ERROR)
        self._name = name
        self._strategy = _MAKE[name]()
        self._taken: list[tuple[Vector, int]] = []

    def add(self, vector: Vector, examples: int) -> None:
        """See :class:`Aggregator`."""
        self._taken.append((vector, examples))

    def finish(self, current: Vector, round_number: int) -> Vector:
        """See :class:`Aggregator`."""
        self._strategy.current_arrays = {_NAME: current}
        replies = [_reply(vector, examples) for vector, examples in self._taken]
        self._taken = []
        if self._name == "multikrum":  # all but the most distant, and one more
            self._strategy.num_nodes_to_select = max(1, len(replies) - 2)
        arrays, _ = self._strategy.aggregate_train(round_number, replies)
        return np.asarray(arrays[_NAME].numpy(), dtype=np.float32)

    def save(self) -> bytes:
        """See :class:`Aggregator`: the moments of an adaptive strategy."""
        moments = [getattr(self._strategy, name, None) for name in ("m_t", "v_t")]
        parts = [m[_NAME].astype("<f8").tobytes() for m in moments if m]
        return b"".join(parts)

    def load(self, data: bytes) -> None:
        """See :class:`Aggregator`."""
        if not data:
            return
        if not hasattr(self._strategy, "m_t") or len(data) % 16:
            raise WireError("the checkpoint is of another strategy")
        first, second = np.split(np.frombuffer(data, "<f8"), 2)
        self._strategy.m_t, self._strategy.v_t = {_NAME: first.copy()}, {_NAME: second.copy()}


def _reply(vector: Vector, examples: int) -> Message:
    """A client's reply as Flower's strategies expect it."""
    content = RecordDict(
        {
            "arrays": ArrayRecord({_NAME: Array(vector)}),
            "metrics": MetricRecord({_EXAMPLES: examples}),
        }
    )
    return Message(content, 1, "train")
