"""Clients that train the numbers of one vector: weights, adapters and coordinates.

One round, as the client sees it::

    before = what the server sent
    after  = what training makes of it
    send after, or after - before as the codec writes it, or as whole numbers that are summed
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.codecs import Codec, with_error_feedback
from fedseed.coding.fixed_point import limits_of, most_weight, to_whole
from fedseed.coding.vectors import Parts, Vector
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import noisy_vector
from fedseed.protocols.base import ClientTask
from fedseed.protocols.ranges import ranges_of
from fedseed.protocols.shared_client import SharedModelClient
from fedseed.protocols.shared_model import Download
from fedseed.training import FitResult


@dataclass(frozen=True)
class Learnt:
    """What training made of a vector."""

    result: FitResult
    before: Vector
    """What the server sent."""
    after: Vector
    """Where training ended."""
    codec: Codec
    """How the server asks for it."""
    parts: Parts
    """Which numbers lie where."""

    @property
    def change(self) -> Vector:
        """What training changed."""
        return self.after - self.before


class VectorClient(SharedModelClient):
    """Trains from the server's vector, and sends its own or what it changed."""

    @abstractmethod
    def learn(self, download: Download, task: ClientTask) -> Learnt:
        """Train on all of the shard's rows.

        Raises:
            WireError: the body cannot be decoded.
        """

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        learnt = self.learn(download, task)
        codec, sizes = learnt.codec, learnt.parts.sizes
        if self._by_client:
            if codec.sends_changes:
                raise WireError("a client that noises what it sends takes codec fp32 or fp16 only")
            noisy = learnt.before + self._noisy(learnt.change, task.rng)
            return learnt.result, codec.encode(noisy, sizes)
        if not codec.sends_changes:
            return learnt.result, codec.encode(learnt.after, sizes)
        return learnt.result, with_error_feedback(learnt.change, codec, sizes, task.memory)

    def summand(
        self, download: Download, task: ClientTask, weight: int, cohort: int
    ) -> tuple[FitResult, NDArray[np.int64]]:
        """See :class:`SharedModelClient`."""
        learnt = self.learn(download, task)
        change = learnt.change
        if self._by_client:
            change = self._noisy(change, task.rng)
        if weight > most_weight(cohort):
            raise WireError(
                f"a sum of {cohort} clients takes {most_weight(cohort):,} examples each"
            )
        limits = limits_of(learnt.parts, ranges_of(learnt.parts, download.recipe))
        return learnt.result, to_whole(change, limits, weight, task.rng)

    @property
    def _by_client(self) -> bool:
        return self.defence is not None and self.defence.by_client

    def _noisy(self, change: Vector, rng: np.random.Generator) -> Vector:
        """A change as it may leave when all of the client's examples are protected."""
        assert self.defence is not None
        return noisy_vector(change, self.defence.clip, self.defence.noise, rng)
