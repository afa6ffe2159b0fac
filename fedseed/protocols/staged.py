"""A run in two stages: a first protocol's round makes the seed that the next protocol begins from.

Each payload down begins with a byte that says the stage; contributions and products have none.
Clients and servers of both protocols are what they are alone.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from fedseed.errors import WireError
from fedseed.protocols.base import ClientTask, ProtocolClient, ProtocolServer, Report, Setup
from fedseed.protocols.description import Protocol, ProtocolOptions

_FIRST, _NEXT = b"\x00", b"\x01"
_LENGTH = "<I"


class StagedServer(ProtocolServer):
    """The first rounds are the first protocol's, all later ones those of the run's protocol."""

    def __init__(self, setup: Setup, first: Protocol, options: ProtocolOptions) -> None:
        """Start a run.

        Args:
            setup: of the run; its protocol is the one that goes on.
            first: a protocol whose server makes a seed, see :meth:`ProtocolServer.seed`.
            options: the first protocol's own.
        """
        self._setup = setup
        self._protocol: Protocol = setup.protocol
        self._first_rounds = int(getattr(options, "start_rounds", 1))
        self._first: ProtocolServer = first.make_server(
            replace(setup, protocol=first, options=options, rounds=self._first_rounds)
        )
        self._first_name = first.name
        self._most_seed = int(getattr(options, "seed_bytes", len(setup.seed)))
        self._seed: bytes | None = None
        self._next: ProtocolServer | None = None
        """The server of the run's protocol, once there is a seed to begin from."""

    def _begin(self, seed: bytes | None) -> None:
        """Begin the second stage from a seed; from the run's own when the first made none."""
        setup = self._setup
        self._seed = seed
        self._next = self._protocol.make_server(
            replace(setup, seed=seed or setup.seed, rounds=setup.rounds - self._first_rounds)
        )

    @property
    def _current(self) -> ProtocolServer:
        return self._first if self._next is None else self._next

    def configure(self, round_number: int, cohort: Sequence[int]) -> dict[int, bytes]:
        """See :class:`ProtocolServer`."""
        if self._next is None:
            payloads, stage = self._first.configure(round_number, cohort), _FIRST
        else:
            payloads, stage = self._next.configure(round_number - self._first_rounds, cohort), _NEXT
        return {pid: stage + payload for pid, payload in payloads.items()}

    def aggregate(self, round_number: int, contributions: Mapping[int, bytes]) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        if self._next is not None:
            return self._next.aggregate(round_number - self._first_rounds, contributions)
        reports = self._first.aggregate(round_number, contributions)
        if round_number >= self._first_rounds:
            self._begin(self._first.seed())
        return reports

    def describe_contribution(self, contribution: bytes) -> str:
        """See :class:`ProtocolServer`."""
        return self._current.describe_contribution(contribution)

    def seed(self) -> bytes | None:
        """See :class:`ProtocolServer`: what the first stage made."""
        return self._seed

    def model(self) -> nn.Module | None:
        """See :class:`ProtocolServer`."""
        return self._current.model()

    def checkpoint(self) -> bytes | None:
        """See :class:`ProtocolServer`: the stage, the seed, and what the stage saves."""
        state = self._current.checkpoint()
        if state is None:
            return None
        seed = self._seed or b""
        stage = _FIRST if self._next is None else _NEXT
        return stage + struct.pack(_LENGTH, len(seed)) + seed + state

    def restore(self, checkpoint: bytes) -> None:
        """See :class:`ProtocolServer`."""
        stage, start = checkpoint[:1], 1 + struct.calcsize(_LENGTH)
        if len(checkpoint) < start or stage not in (_FIRST, _NEXT):
            raise WireError("the checkpoint is truncated")
        end = start + struct.unpack_from(_LENGTH, checkpoint, 1)[0]
        if end > len(checkpoint):
            raise WireError("the checkpoint is truncated")
        if stage == _NEXT:
            self._begin(checkpoint[start:end] or None)
        self._current.restore(checkpoint[end:])

    def files(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the current stage's, and the seed between the stages."""
        made = {} if self._seed is None else {f"{self._first_name}.fseed": self._seed}
        return made | self._current.files()

    def products(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`."""
        return self._current.products()

    def summary(self, product: str) -> Mapping[str, Any]:
        """See :class:`ProtocolServer`."""
        return self._current.summary(product)

    def payload_estimate(self) -> dict[str, int]:
        """See :class:`ProtocolServer`: in later rounds as if each brought the seed."""
        first = self._first.payload_estimate()
        later = self._protocol.make_server(self._setup).payload_estimate()
        grown = max(0, self._most_seed - len(self._setup.seed))
        return {
            "down_first": 1 + first["down_first"],
            "down_later": 1 + later["down_first"] + grown,
            "up": max(first["up"], later["up"]),
        }


class StagedClient(ProtocolClient):
    """Does what the payload's first byte says: the first protocol's work, or the run's."""

    def __init__(self, first: ProtocolClient, following: ProtocolClient) -> None:
        """Make a client of two clients, which share one memory."""
        super().__init__(following.options, following.trainer, following.public, following.defence)
        self._clients = {_FIRST: first, _NEXT: following}

    def contribute(self, task: ClientTask) -> bytes:
        """See :class:`ProtocolClient`."""
        client = self._clients.get(task.payload[:1])
        if client is None:
            raise WireError("the payload names no stage of the run")
        client.architecture = self.architecture
        return client.contribute(replace(task, payload=task.payload[1:]))

    def grow(self, task: ClientTask) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        client = self._clients[_NEXT]
        client.architecture = self.architecture
        return client.grow(task)
