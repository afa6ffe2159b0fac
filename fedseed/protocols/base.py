"""Protocol: what travels in each direction and how it is aggregated.

A protocol sees payloads (bytes), shards and models. It knows nothing of Flower, so that the
same two classes serve the in-process engine, ray and a deployment.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from fedseed.config import RunConfig
from fedseed.data.public_texts import PublicTexts
from fedseed.data.shard import Shard
from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.models.architecture import Shapes
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols.averaging import Aggregator, Mean
from fedseed.recipe import Recipe
from fedseed.training import Trainer

Memory = MutableMapping[str, bytes]
"""What a client keeps between rounds, by name."""


@dataclass(frozen=True)
class Report:
    """How the server took one client's contribution."""

    status: str
    """``ok``, or ``rejected`` when the contribution could not be decoded or believed."""
    examples: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Setup:
    """What a protocol's server side starts from."""

    config: RunConfig
    """The run's options, defaults resolved."""
    seed: bytes
    """The encoded seed."""
    given: Recipe
    """How a client trains alone; the recipe that others are compared with."""
    classes: int
    shapes: Shapes
    """Name and shape of every weight of the model."""
    trainer: Trainer
    """For protocols whose server trains or predicts."""
    public: PublicTexts | None = None
    """Texts that server and clients share, of protocols that need them."""
    aggregator: Callable[[], Aggregator] = Mean
    """Makes what aggregates the clients' vectors."""
    defence: Defence | None = None
    """What the clients do to their answers, which the server is to know."""

    @property
    def recipe(self) -> Recipe:
        """How clients train in every round: as given, for ``--steps`` steps."""
        return self.given.replace(steps=self.config.steps)

    @property
    def parameters(self) -> int:
        """Number of the model's weights."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())


class ProtocolServer(ABC):
    """The server side of one protocol, for one run.

    It must be a function of what it was given and of the contributions, in any order: an
    interrupted run is resumed by handing it the same contributions again.
    """

    @abstractmethod
    def configure(self, round_number: int, cohort: Sequence[int]) -> dict[int, bytes]:
        """Return the payload for every partition of the cohort; rounds count from 1."""

    @abstractmethod
    def aggregate(self, round_number: int, contributions: Mapping[int, bytes]) -> dict[int, Report]:
        """Take the contributions of a round, and say how each was taken.

        Contributions come from the wire: whatever they hold, this neither raises nor lets
        absurd values steer the aggregate.
        """

    @abstractmethod
    def describe_contribution(self, contribution: bytes) -> str:
        """What a contribution says, in a few words for a display; never raises."""

    def model(self) -> nn.Module | None:
        """The server's own model after the rounds so far; None for protocols without one."""
        return None

    def checkpoint(self) -> bytes | None:
        """What the server needs to go on after an interruption.

        None when the contributions in the transcript are enough, which is so where they are
        small.
        """
        return None

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint.

        Raises:
            WireError: the bytes are no checkpoint.
        """
        raise NotImplementedError

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """What a user takes home from a run: contents by file name."""

    @abstractmethod
    def products(self) -> dict[str, bytes]:
        """What a newcomer can be given after the last round: payloads by name."""

    @abstractmethod
    def summary(self, product: str) -> Mapping[str, Any]:
        """What a product is, for the record."""

    @abstractmethod
    def payload_estimate(self) -> dict[str, int]:
        """Payload bytes of one client, for a plan.

        ``down_first`` and ``down_later`` (after round 1), and ``up`` in each round; where payloads
        are entropy coded, about the most that they can be.
        """


class ProtocolClient(ABC):
    """The client side of one protocol."""

    architecture: tuple[str, int] | None = None
    """Name and classes of the only model whose seeds the client takes; of any when None."""

    def __init__(
        self,
        trainer: Trainer | None = None,
        public: PublicTexts | None = None,
        defence: Defence | None = None,
    ) -> None:
        """Train with a trainer; in fp32 on the CPU when None.

        Args:
            trainer: does all training and prediction.
            public: texts that server and clients share, of protocols that need them.
            defence: what is done to an answer before it leaves; under DP-SGD the trainer is one
                that trains so.
        """
        self.trainer = trainer or Trainer()
        self.public = public
        self.defence = defence

    @abstractmethod
    def contribute(
        self, payload: bytes, shard: Shard, memory: Memory, rng: np.random.Generator
    ) -> bytes:
        """Do one round's local work and return the contribution.

        Raises:
            WireError: the payload cannot be decoded.
        """

    @abstractmethod
    def grow(
        self,
        payload: bytes,
        table: TokenTable,
        rows: Rows,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[nn.Module, int]:
        """Turn a product into a model of the client's own.

        Args:
            payload: one of the server's :meth:`ProtocolServer.products`.
            table: the client's tokens.
            rows: all of the client's rows: nothing is held back for validation.
            memory: what the client keeps between rounds.
            rng: the client's generator.

        Returns:
            The model, and the longest text it was trained on, in tokens.

        Raises:
            WireError: the payload cannot be decoded.
        """


@dataclass(frozen=True)
class Protocol:
    """Both sides of a protocol."""

    server: Callable[[Setup], ProtocolServer]
    client: type[ProtocolClient]
