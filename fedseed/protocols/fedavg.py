"""How a server makes one vector of the clients' vectors; by default federated averaging."""

from abc import ABC, abstractmethod

import numpy as np

from fedseed.coding.vectors import Vector
from fedseed.errors import WireError


class Aggregator(ABC):
    """Takes a round's vectors one by one and makes one of them."""

    @abstractmethod
    def add(self, vector: Vector, examples: int) -> None:
        """Take a client's vector; it stands for so many examples."""

    @abstractmethod
    def finish(self, current: Vector, round_number: int) -> Vector:
        """The round's aggregate; what was taken is forgotten.

        Args:
            current: what the clients' vectors started from.
            round_number: from 1.
        """

    def save(self) -> bytes:
        """What is to be known of earlier rounds, for a checkpoint."""
        return b""

    def load(self, data: bytes) -> None:
        """Go on from :meth:`save`; raises WireError when it is of another run."""
        if data:
            raise WireError("the checkpoint is of another strategy")


class FedAvg(Aggregator):
    """Federated averaging (McMahan et al. 2017, arXiv 1602.05629, algorithm 1).

    The mean of the clients' vectors in proportion to their examples, summed in fp64.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._total: np.ndarray | None = None
        self._examples = 0

    def add(self, vector: Vector, examples: int) -> None:
        """See :class:`Aggregator`: one sum is all that is kept."""
        if self._total is None:
            self._total = np.zeros(len(vector), dtype=np.float64)
        self._total += np.float64(examples) * vector
        self._examples += examples

    def finish(self, current: Vector, round_number: int) -> Vector:  # noqa: ARG002
        """See :class:`Aggregator`."""
        if self._total is None:
            return current
        mean = (self._total / self._examples).astype(np.float32)
        self._total, self._examples = None, 0
        return mean
