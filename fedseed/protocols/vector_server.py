"""Servers whose model is one vector that clients move: weights, adapters and scalars.

One round, as the server sees it::

    for examples, body in contributions:
        aggregator.add(decode(body), examples)
    if sends_changes:
        vector = settle(vector + aggregator.finish(0))
    else:
        vector = aggregator.finish(vector)
"""

import struct
from abc import abstractmethod

import numpy as np

from fedseed.coding.fixed_point import LEVELS, from_sum, limits_of
from fedseed.coding.vectors import LARGEST, Parts, Vector, Words, believable
from fedseed.errors import WireError
from fedseed.protocols.base import Setup
from fedseed.protocols.ranges import ranges_of
from fedseed.protocols.shared_model import SharedModelServer

_LENGTH = "<Q"
_LENGTH_BYTES = struct.calcsize(_LENGTH)


class VectorServer(SharedModelServer):
    """Aggregates the clients' vectors, by default in proportion to their examples."""

    sends_changes = False
    """Whether a contribution is what a client changed, not where it ended."""

    def __init__(self, setup: Setup, strategy: str = "fedavg") -> None:
        """Start a run.

        Args:
            setup: what is public.
            strategy: how vectors are aggregated, for :attr:`Setup.make_aggregator`.
        """
        super().__init__(setup)
        self._aggregator = setup.make_aggregator(strategy)
        self._vector: Vector | None = None
        """The server's vector, shape ``(size,)``; None before the first round has ended."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Length of the vector."""

    @abstractmethod
    def start(self) -> Vector:
        """The vector before the first round."""

    @abstractmethod
    def decode(self, body: bytes) -> Vector:
        """The vector of one contribution.

        Raises:
            WireError: the body is malformed or cannot be believed.
        """

    def check(self, vector: Vector) -> Vector:
        """The same vector; raises WireError for values that no run reaches."""
        return believable(vector)

    def settle(self, vector: Vector) -> Vector:
        """The vector after a change, brought back to values that a run may reach.

        Changes that can each be believed may together lead beyond.
        """
        return np.clip(vector, -LARGEST, LARGEST)

    @property
    def parts(self) -> Parts:
        """Which numbers of the vector lie where, for sums."""
        raise NotImplementedError

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._aggregator.add(self.decode(body), examples)

    def body_length(self) -> int:
        """See :class:`SharedModelServer`."""
        return self.size

    def take_sum(self, examples: int, total: Words, clients: int) -> None:  # noqa: ARG002
        """See :class:`SharedModelServer`: the mean is all that there is."""
        ranges = ranges_of(self.parts, self.setup.recipe)
        most = (LEVELS + 1) * examples  # rounding at random may go one beyond
        if (np.abs(total.view(np.int32).astype(np.int64)) > most).any():
            raise WireError("not believable: changes beyond their ranges")
        change = from_sum(total, limits_of(self.parts, ranges), examples)
        start = self.start() if self._vector is None else self._vector
        self._aggregator.add(self.check(change if self.sends_changes else start + change), examples)

    def finish_round(self, round_number: int) -> None:
        """See :class:`SharedModelServer`."""
        start = self.start() if self._vector is None else self._vector
        if self.sends_changes:
            change = self._aggregator.finish(np.zeros_like(start), round_number)
            self._vector = self.settle(start + change)
        else:
            self._vector = self._aggregator.finish(start, round_number)

    def save(self) -> bytes:
        """See :class:`SharedModelServer`: length and bytes of the vector, then the aggregator."""
        vector = b"" if self._vector is None else self._vector.astype("<f4").tobytes()
        return struct.pack(_LENGTH, len(vector)) + vector + self._aggregator.save()

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        if len(data) < _LENGTH_BYTES:
            raise WireError("the checkpoint is truncated")
        length = struct.unpack_from(_LENGTH, data)[0]
        end = _LENGTH_BYTES + length
        if length not in (0, 4 * self.size) or len(data) < end:
            raise WireError("the checkpoint is of another model")
        vector = self.check(np.frombuffer(data[_LENGTH_BYTES:end], "<f4").copy())
        self._aggregator.load(data[end:])
        self._vector = vector if length else None
