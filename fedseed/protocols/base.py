"""Protocol: what travels in each direction and how it is aggregated.

A protocol sees payloads (bytes), shards and models. It knows nothing of Flower, so that the
same two classes serve the in-process engine, ray and a deployment.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from fedseed.coding.vectors import Words
from fedseed.data.public_texts import PublicTexts
from fedseed.data.shard import Shard
from fedseed.memory import Memory
from fedseed.models.architecture import Shapes
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols.description import Protocol, ProtocolOptions
from fedseed.protocols.fedavg import Aggregator, FedAvg
from fedseed.recipe import Recipe
from fedseed.training import Trainer


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
    """What a protocol's server side starts from; all of it is public."""

    protocol: Protocol
    options: ProtocolOptions
    """The protocol's own options, an instance of ``protocol.options``."""
    seed: bytes
    """The encoded seed."""
    given: Recipe
    """How a client trains alone; the recipe that others are compared with."""
    rounds: int
    steps: int
    """Step budget of a client in one round."""
    cohort_size: int
    """Clients in one round."""
    run_seed: int
    model: str
    """Name of the architecture."""
    classes: int
    shapes: Shapes
    """Name and shape of every weight of the model."""
    trainer: Trainer
    """For protocols whose server trains or predicts."""
    public: PublicTexts | None = None
    """Texts that server and clients share, of protocols that need them."""
    make_aggregator: Callable[[str], Aggregator] = lambda _: FedAvg()
    """Makes what aggregates the clients' vectors, from a strategy's name."""
    defence: Defence | None = None
    """What the clients do to their answers, which the server is to know."""
    alone: Recipe | None = None
    """How a client trains without the protocol; as given when None."""

    @property
    def recipe(self) -> Recipe:
        """How clients train in every round: as given, for :attr:`steps` steps."""
        return self.given.replace(steps=self.steps)

    @property
    def parameters(self) -> int:
        """Number of the model's weights."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())


@dataclass(frozen=True)
class ClientTask:
    """What one client works on: a payload from the server, and what is the client's alone."""

    payload: bytes
    shard: Shard
    """Its private texts."""
    memory: Memory
    """What it keeps between rounds."""
    rng: np.random.Generator
    """Its random choices for this task."""


class ProtocolServer(ABC):
    """The server side of one protocol, for one run.

    It must be a function of what it was given and of the contributions, in any order: an
    interrupted run is resumed by handing it the same contributions again. One round is::

        payloads = server.configure(round_number, cohort)
        contributions = {pid: client.contribute(ClientTask(payloads[pid], ...)) for pid in cohort}
        reports = server.aggregate(round_number, contributions)
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

    def sum_length(self) -> int:
        """Numbers of the vectors that clients add up in the coming round.

        Of protocols that have :attr:`Protocol.sums`.
        """
        raise NotImplementedError

    def aggregate_sum(
        self, round_number: int, total: Words, clients: Sequence[int]
    ) -> dict[int, Report]:
        """Take the sum of a round's vectors, as :meth:`ProtocolClient.addend` makes them.

        Args:
            round_number: counted from 1.
            total: shape ``(sum_length,)``.
            clients: whose vectors are in it.

        Raises:
            WireError: the sum cannot be believed; nothing was taken.
        """
        raise NotImplementedError

    @abstractmethod
    def describe_contribution(self, contribution: bytes) -> str:
        """What a contribution says, in a few words for a display; never raises."""

    def model(self) -> nn.Module | None:
        """The server's own model after the rounds so far; None for protocols without one."""
        return None

    def seed(self) -> bytes | None:
        """The encoded seed that the rounds so far have made; None where they make none."""
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
        """What a user takes home from a run beside :meth:`model`: contents by file name."""

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
        options: ProtocolOptions,
        trainer: Trainer | None = None,
        public: PublicTexts | None = None,
        defence: Defence | None = None,
    ) -> None:
        """Make a client.

        Args:
            options: the protocol's own.
            trainer: does all training and prediction; in fp32 on the CPU when None.
            public: texts that server and clients share, of protocols that need them.
            defence: what is done to an answer before it leaves; under DP-SGD the trainer is one
                that trains so.
        """
        self.options = options
        self.trainer = trainer or Trainer()
        self.public = public
        self.defence = defence

    @abstractmethod
    def contribute(self, task: ClientTask) -> bytes:
        """Do one round's local work and return the contribution.

        Raises:
            WireError: the payload cannot be decoded.
        """

    def addend(self, task: ClientTask, cohort: int) -> Words:
        """Do one round's local work as :meth:`contribute`, for a sum.

        Args:
            task: as there.
            cohort: the most clients whose vectors are added up.

        Returns:
            Integers modulo 2 ** 32, shape ``(ProtocolServer.sum_length(),)``: of a protocol that
            has :attr:`Protocol.sums`.

        Raises:
            WireError: the payload cannot be decoded.
        """
        raise NotImplementedError

    @abstractmethod
    def grow(self, task: ClientTask) -> tuple[nn.Module, int]:
        """Turn a product into a model of the client's own.

        Args:
            task: the payload is one of the server's :meth:`ProtocolServer.products`; all of the
                shard's rows may be trained on, nothing is held back for validation.

        Returns:
            The model, and the longest text it was trained on, in tokens.

        Raises:
            WireError: the payload cannot be decoded.
        """
