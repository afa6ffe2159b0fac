"""The server's loop: ask the clients of a round, take what comes back, go on."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedseed.config import RunConfig
from fedseed.errors import RunError, WireError
from fedseed.federation.client_app import PARTITION
from fedseed.federation.local_grid import LocalGrid
from fedseed.federation.wire import content, message_size, payload_of
from fedseed.protocols.base import ProtocolServer, Report
from fedseed.randomness import generator
from fedseed.transcript import TRAIN, Exchange, Transcript, byte_sums

_PATIENCE = 300.0
"""Seconds to wait for all nodes to answer before a run is given up."""
_ASK_AGAIN = 20.0
"""Seconds after which a node that has not answered is asked again."""
_STRAGGLE = 60.0
"""Seconds that a question may stay without an answer once all partitions are known."""
_PAUSE = 0.05

Requests = Mapping[tuple[str, int], bytes]
"""Payloads by group (the round's number or the product's name) and partition."""


class Observer(Protocol):
    """Told what happens, for displays."""

    def exchanged(self, exchange: Exchange, glance: str = "") -> None:
        """A client has replied, or will not; ``glance`` is what its reply says."""

    def round_done(self, result: "RoundResult") -> None:
        """A round was aggregated."""


@dataclass(frozen=True)
class RoundResult:
    """One round, as it stands in record.json."""

    round: int
    clients: list[dict[str, Any]]
    bytes: Mapping[str, Mapping[str, int]]
    seconds: float
    asked: float = 0.0
    """Seconds of these that were spent waiting for the clients."""

    def to_record(self) -> dict[str, Any]:
        """Return the round object of record.json."""
        return {
            "round": self.round,
            "clients": self.clients,
            **self.bytes,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class _Sent:
    """A message on its way."""

    phase: str
    group: str
    partition_id: int
    payload: bytes
    message: Message

    def without_reply(
        self, status: str, reason: str, lengths: tuple[int, int] | None = None
    ) -> Exchange:
        """The exchange; ``lengths`` of message and reply are measured when not known."""
        down, up = lengths or (message_size(self.message), 0)
        return Exchange(
            self.phase, self.group, self.partition_id, status, self.payload, down, b"", up, reason
        )

    def answered(self, reply: Message, lengths: tuple[int, int] | None) -> Exchange:
        lengths = lengths or (message_size(self.message), message_size(reply))
        if reply.has_error():
            reason = reply.error.reason or f"error {reply.error.code}"
            status = "timeout" if reason.startswith("TimeoutError") else "failed"
            return self.without_reply(status, reason, lengths)
        try:
            payload = payload_of(reply)
        except WireError as error:
            return self.without_reply("failed", str(error), lengths)
        return replace(self.without_reply("ok", "", lengths), up=payload)


@dataclass
class Wire:
    """The server's end of the wire: a grid, who is on it, and the transcript."""

    grid: Grid
    nodes: dict[int, int]
    """Node id of every partition."""
    transcript: Transcript
    observer: Observer
    glance: Callable[[bytes], str] = field(default=lambda _: "")
    """What a contribution says, in a few words."""
    timeout: float | None = None
    """Seconds for one client; None to wait for ever."""
    parallel: int = 1
    """Clients that work at the same time, on which the patience with all of them depends."""

    def ask(self, phase: str, requests: Requests, lost: frozenset[int]) -> list[Exchange]:
        """Send every request and wait for what comes back.

        Exchanges that the transcript has already are not repeated: this is how an
        interrupted run goes on.

        Args:
            phase: ``train`` or ``evaluate``.
            requests: payloads by group (round or product) and partition.
            lost: partitions whose reply is to be lost.

        Returns:
            The exchanges of the requests' groups, in order of group and partition.
        """
        groups = list(dict.fromkeys(group for group, _ in requests))
        done = {(group, pid) for group in groups for pid in self.transcript.of(phase, group)}
        waiting: dict[str, _Sent] = {}
        for (group, pid), payload in requests.items():
            if (group, pid) in done:
                continue
            message = Message(content(payload), self.nodes[pid], phase, group_id=group)
            sent = _Sent(phase, group, pid, payload, message)
            if pid in lost:
                self._note(sent.without_reply("dropped", ""))
                continue
            for message_id in self.grid.push_messages([message]):
                waiting[message_id] = sent
        self._collect(waiting)
        return [e for group in groups for e in self.transcript.of(phase, group).values()]

    def _collect(self, waiting: dict[str, "_Sent"]) -> None:
        turns = -(-len(waiting) // self.parallel)
        end = None if self.timeout is None else time.monotonic() + self.timeout * turns
        while waiting and (end is None or time.monotonic() < end):
            replies = list(self.grid.pull_messages(list(waiting)))
            for reply in replies:
                message_id = reply.metadata.reply_to_message_id
                grid = self.grid if isinstance(self.grid, LocalGrid) else None
                lengths = grid.lengths(message_id) if grid else None
                self._note(waiting.pop(message_id).answered(reply, lengths))
            if not replies and not isinstance(self.grid, LocalGrid):  # which waits itself
                time.sleep(_PAUSE)
        for sent in waiting.values():
            self._note(sent.without_reply("timeout", f"no reply within {self.timeout:g} s"))

    def _note(self, exchange: Exchange) -> None:
        self.transcript.add(exchange)
        known = exchange.phase == TRAIN and exchange.status == "ok"
        self.observer.exchanged(exchange, self.glance(exchange.up) if known else "")


def discover(grid: Grid, partitions: int) -> dict[int, int]:
    """Ask every node for its partition.

    Returns:
        Node ids by partition.

    Raises:
        RunError: some partition is on no node.
    """
    if isinstance(grid, LocalGrid):
        return grid.partitions
    found: dict[int, int] = {}
    why = f"start {partitions} nodes (--clients and --newcomers together)"
    asked: dict[int, float] = {}
    waiting: set[str] = set()
    now = time.monotonic()
    end = now + _PATIENCE
    # A question that is still under way could undo what a client remembers of its first round:
    # the rounds begin when all are answered.
    while (len(found) < partitions or waiting) and now < end:
        silent = [
            node
            for node in grid.get_node_ids()
            if node not in found.values() and now - asked.get(node, -_ASK_AGAIN) >= _ASK_AGAIN
        ]
        if silent and len(found) < partitions:
            messages = [Message(RecordDict(), node, "query", group_id="0") for node in silent]
            waiting.update(grid.push_messages(messages))
            asked.update(dict.fromkeys(silent, now))
        for reply in list(grid.pull_messages(waiting)):
            waiting.discard(reply.metadata.reply_to_message_id)
            if reply.has_content() and PARTITION in reply.content.metric_records:
                pid = reply.content.metric_records[PARTITION][PARTITION]
                # Nobody can claim what there is not, or what another living node has said first.
                if not isinstance(pid, int) or pid not in range(partitions):
                    continue
                if pid not in found or found[pid] not in grid.get_node_ids():
                    found[pid] = reply.metadata.src_node_id
            elif reply.has_error():
                why = f"one says: {reply.error.reason}"
        time.sleep(_PAUSE)
        now = time.monotonic()
        if len(found) == partitions:
            end = min(end, max(asked.values()) + _STRAGGLE)
    missing = [pid for pid in range(partitions) if pid not in found]
    if missing:
        raise RunError(f"partition(s) {missing[:10]} are on no node that answers: {why}")
    return dict(sorted(found.items()))


def cohort_of(config: RunConfig, round_number: int) -> list[int]:
    """Clients of one round: all, or a draw without repetition of ``--cohort``."""
    if config.cohort is None:
        return list(range(config.clients))
    rng = generator(config.run_seed, "cohort", round_number)
    return sorted(rng.choice(config.clients, config.cohort, replace=False).tolist())


def run_rounds(
    wire: Wire,
    server: ProtocolServer,
    config: RunConfig,
    after: Callable[[RoundResult], None],
    done: int = 0,
) -> list[RoundResult]:
    """Run all training rounds.

    Args:
        wire: the way to the clients.
        server: the protocol's server side.
        config: the run's configuration.
        after: called after every round, to save what is finished.
        done: rounds that an interrupted run has behind it and the server knows.

    Raises:
        RunError: a round had fewer believable replies than ``--min-clients``.
    """
    results: list[RoundResult] = []
    for number in range(done + 1, config.rounds + 1):
        started = time.monotonic()
        cohort = cohort_of(config, number)
        payloads = server.configure(number, cohort)
        requests = {(str(number), pid): payload for pid, payload in payloads.items()}
        exchanges = wire.ask(TRAIN, requests, _lost(config, number, cohort))
        asked = time.monotonic() - started
        contributions = {e.partition_id: e.up for e in exchanges if e.status == "ok"}
        reports = server.aggregate(number, contributions)
        clients = [_client(e, reports.get(e.partition_id)) for e in exchanges]
        wire.transcript.shrink()
        seconds = time.monotonic() - started
        result = RoundResult(number, clients, byte_sums(exchanges), seconds, asked)
        results.append(result)
        wire.observer.round_done(result)
        after(result)
        believed = sum(client["status"] == "ok" for client in clients)
        if believed < config.min_clients:
            raise RunError(
                f"round {number} had {believed} usable replies, --min-clients asks for "
                f"{config.min_clients}: {_why(clients)}"
            )
    return results


def _lost(config: RunConfig, number: int, cohort: Sequence[int]) -> frozenset[int]:
    return frozenset(
        pid
        for pid in cohort
        if generator(config.run_seed, "drop", number, pid).random() < config.drop_rate
    )


def _client(exchange: Exchange, report: Report | None) -> dict[str, Any]:
    report = report or Report(exchange.status, reason=exchange.reason)
    client: dict[str, Any] = {
        "partition_id": exchange.partition_id,
        "status": report.status,
        "examples": report.examples,
        "metrics": dict(report.metrics),
    }
    return client | ({"reason": report.reason} if report.reason else {})


def _why(clients: Sequence[Mapping[str, Any]]) -> str:
    reasons = [
        f"client {client['partition_id']} {client['status']} ({client.get('reason', 'lost')})"
        for client in clients
        if client["status"] != "ok"
    ]
    return "; ".join(reasons[:3]) + ("; ..." if len(reasons) > 3 else "")
