"""A run in two stages: a first protocol's rounds make the seed that the next one begins from.

Each payload down begins with a byte that says the stage; contributions and products have none.
Clients and servers of both protocols are what they are alone.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.protocols.base import ClientTask, ProtocolClient, ProtocolServer, Report, Setup
from fedseed.protocols.description import Protocol, ProtocolOptions

_FIRST, _NEXT = b"\x00", b"\x01"
_LOGGED = b"\x02"
"""In a checkpoint: the second stage, of which contributions are kept in place of a state."""
_LENGTH = "<I"
_ROUND = "<III"


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
        self._most_seed = int(options.for_classes(setup.classes).get("seed_bytes", len(setup.seed)))
        self._seed: bytes | None = None
        self._logs = False
        self._log: list[tuple[int, list[int], dict[int, bytes]]] = []
        """Rounds of a second stage that saves no state: number, cohort, and what came up."""
        self._next: ProtocolServer | None = None
        """The server of the run's protocol, once there is a seed to begin from."""

    def _begin(self, seed: bytes | None) -> None:
        """Begin the second stage from a seed; from the run's own when the first made none."""
        setup = self._setup
        self._seed = seed
        self._next = self._protocol.make_server(
            replace(setup, seed=seed or setup.seed, rounds=setup.rounds - self._first_rounds)
        )
        self._logs = self._next.checkpoint() is None

    @property
    def _current(self) -> ProtocolServer:
        return self._first if self._next is None else self._next

    def configure(self, round_number: int, cohort: Sequence[int]) -> dict[int, bytes]:
        """See :class:`ProtocolServer`."""
        if self._next is None:
            payloads, stage = self._first.configure(round_number, cohort), _FIRST
        else:
            payloads, stage = self._next.configure(round_number - self._first_rounds, cohort), _NEXT
            if self._logs:
                self._log.append((round_number, list(cohort), {}))
        return {pid: stage + payload for pid, payload in payloads.items()}

    def aggregate(self, round_number: int, contributions: Mapping[int, bytes]) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        if self._next is not None:
            if self._logs:
                self._log[-1][2].update(contributions)
            return self._next.aggregate(round_number - self._first_rounds, contributions)
        reports = self._first.aggregate(round_number, contributions)
        if round_number >= self._first_rounds:
            self._begin(self._first.seed())
        return reports

    def sum_length(self) -> int:
        """See :class:`ProtocolServer`: of the stage that the coming round belongs to."""
        return self._current.sum_length()

    def aggregate_sum(
        self, round_number: int, total: Words, clients: Sequence[int]
    ) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        if self._next is not None:
            return self._next.aggregate_sum(round_number - self._first_rounds, total, clients)
        reports = self._first.aggregate_sum(round_number, total, clients)
        if round_number >= self._first_rounds:
            self._begin(self._first.seed())
        return reports

    def describe_contribution(self, contribution: bytes) -> str:
        """See :class:`ProtocolServer`."""
        return self._current.describe_contribution(contribution)

    def seed(self) -> bytes | None:
        """See :class:`ProtocolServer`: the second stage's, or else what the first one made."""
        return self._current.seed() or self._seed

    def model(self) -> nn.Module | None:
        """See :class:`ProtocolServer`."""
        return self._current.model()

    def checkpoint(self) -> bytes | None:
        """See :class:`ProtocolServer`: the stage, the seed, and what the stage saves.

        In place of a state that a second stage does not save stands what came up in its rounds.
        """
        state = self._current.checkpoint()
        if self._next is None:
            return None if state is None else _FIRST + _sized(b"") + state
        head = _sized(self._seed or b"")
        return _LOGGED + head + _encode_log(self._log) if state is None else _NEXT + head + state

    def restore(self, checkpoint: bytes) -> None:
        """See :class:`ProtocolServer`."""
        stage = checkpoint[:1]
        if stage not in (_FIRST, _NEXT, _LOGGED):
            raise WireError("the checkpoint is truncated")
        seed, end = _read_sized(checkpoint, 1)
        if stage != _FIRST:
            self._begin(seed or None)
        if stage == _LOGGED:
            for number, cohort, contributions in _decode_log(checkpoint[end:]):
                self.configure(number, cohort)
                self.aggregate(number, contributions)
            return
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


def _sized(part: bytes) -> bytes:
    return struct.pack(_LENGTH, len(part)) + part


def _read_sized(data: bytes, place: int) -> tuple[bytes, int]:
    """A part with its length before it, and where it ends.

    Raises:
        WireError: the data end before.
    """
    start = place + struct.calcsize(_LENGTH)
    if len(data) < start:
        raise WireError("the checkpoint is truncated")
    end = start + struct.unpack_from(_LENGTH, data, place)[0]
    if end > len(data):
        raise WireError("the checkpoint is truncated")
    return data[start:end], end


def _encode_log(log: Sequence[tuple[int, list[int], Mapping[int, bytes]]]) -> bytes:
    """Rounds one after the other: number, cohort, then each client and its contribution."""
    parts = []
    for number, cohort, contributions in log:
        parts.append(struct.pack(_ROUND, number, len(cohort), len(contributions)))
        parts.append(struct.pack(f"<{len(cohort)}I", *cohort))
        parts += [struct.pack("<I", pid) + _sized(part) for pid, part in contributions.items()]
    return b"".join(parts)


def _decode_log(data: bytes) -> Iterator[tuple[int, list[int], dict[int, bytes]]]:
    """Read such rounds.

    Raises:
        WireError: the data end in the middle of one.
    """
    place = 0
    while place < len(data):
        try:
            number, clients, replies = struct.unpack_from(_ROUND, data, place)
            place += struct.calcsize(_ROUND)
            cohort = list(struct.unpack_from(f"<{clients}I", data, place))
            place += 4 * clients
            contributions = {}
            for _ in range(replies):
                (pid,) = struct.unpack_from("<I", data, place)
                contributions[pid], place = _read_sized(data, place + 4)
        except struct.error as error:
            raise WireError("the checkpoint is truncated") from error
        yield number, cohort, contributions


class StagedClient(ProtocolClient):
    """Does what the payload's first byte says: the first protocol's work, or the run's."""

    def __init__(self, first: ProtocolClient, following: ProtocolClient) -> None:
        """Make a client of two clients, which share one memory."""
        super().__init__(following.options, following.trainer, following.public, following.defence)
        self._clients = {_FIRST: first, _NEXT: following}

    def contribute(self, task: ClientTask) -> bytes:
        """See :class:`ProtocolClient`."""
        client = self._client_of(task.payload)
        return client.contribute(replace(task, payload=task.payload[1:]))

    def addend(self, task: ClientTask, cohort: int) -> Words:
        """See :class:`ProtocolClient`."""
        client = self._client_of(task.payload)
        return client.addend(replace(task, payload=task.payload[1:]), cohort)

    def _client_of(self, payload: bytes) -> ProtocolClient:
        client = self._clients.get(payload[:1])
        if client is None:
            raise WireError("the payload names no stage of the run")
        client.architecture = self.architecture
        return client

    def grow(self, task: ClientTask) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        client = self._clients[_NEXT]
        client.architecture = self.architecture
        return client.grow(task)
