"""What a server makes of a round's bodies: one class for each way to estimate words' weights."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fedseed.seeds.kinds.lexicon.words import Lexicon


class Estimate(ABC):
    """Aggregates bodies into a lexicon."""

    @abstractmethod
    def take(self, examples: int, body: bytes) -> None:
        """Add one client's body.

        Raises:
            WireError: it is malformed or cannot be believed; nothing was added.
        """

    def sum_length(self) -> int:
        """Numbers of the vectors that clients add up, where they do."""
        raise NotImplementedError

    def take_sum(self, examples: int, total: NDArray[np.int64], clients: int) -> None:
        """Add the sum of several clients' numbers.

        Raises:
            WireError: it cannot be believed; nothing was added.
        """
        raise NotImplementedError

    @abstractmethod
    def finish_round(self) -> None:
        """End a round in which at least one body was taken."""

    @abstractmethod
    def lexicon(self, most_bytes: int) -> Lexicon:
        """The best lexicon whose code is at most so long.

        Raises:
            SeedError: no word says anything.
        """

    @abstractmethod
    def save(self) -> bytes:
        """The state between two rounds, for a checkpoint."""

    @abstractmethod
    def load(self, data: bytes) -> None:
        """Go on from a state.

        Raises:
            WireError: it is malformed, or of another run.
        """

    @abstractmethod
    def describe(self, body: bytes) -> str:
        """A few words about a body; empty of a malformed one."""

    @abstractmethod
    def upload_estimate(self) -> int:
        """About the most bytes of a body."""
