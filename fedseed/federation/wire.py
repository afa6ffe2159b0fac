"""The server's end of the wire: messages out, replies in, every exchange in the transcript."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flwr.app import Message
from flwr.serverapp import Grid

from fedseed.errors import WireError
from fedseed.federation.local_grid import LocalGrid
from fedseed.federation.messages import content, message_size, payload_of
from fedseed.transcript import Exchange, Transcript

_SHORTEST, _LONGEST = 0.05, 0.5
"""Seconds between two looks for replies, on a grid that does not wait itself: twice as long each
time that there are none, since every look costs a SuperLink as much as a message."""

_BATCH, _BATCH_BYTES = 256, 1 << 20
"""Most messages, and bytes of their payloads, that are handed to the grid at once."""
_RAISED = re.compile(r"<class '(?:\w+\.)*\w+'>:<'(.*)'>", re.DOTALL)
"""How Flower words what a ClientApp raised."""
Requests = Mapping[tuple[str, int], bytes]
"""Payloads by group (the round's number or the product's name) and partition."""
Noted = Callable[[Exchange], None]
"""Called with every exchange when it has ended."""


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
        """The exchange with the client's reply, which may be an error."""
        lengths = lengths or (message_size(self.message), message_size(reply))
        if reply.has_error():
            reason = reply.error.reason or f"error {reply.error.code}"
            if raised := _RAISED.fullmatch(reason):
                reason = raised[1]
            status = "timeout" if reason.startswith("TimeoutError") else "failed"
            return self.without_reply(status, reason, lengths)
        try:
            payload = payload_of(reply)
        except WireError as error:
            return self.without_reply("failed", str(error), lengths)
        return replace(self.without_reply("ok", "", lengths), up=payload)


def _batches(sent: Sequence[_Sent]) -> Iterator[list[_Sent]]:
    """Messages that are pushed together: a node waits until all of its batch are under way."""
    batch: list[_Sent] = []
    size = 0
    for one in sent:
        if batch and (size + len(one.payload) > _BATCH_BYTES or len(batch) == _BATCH):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.payload)
    if batch:
        yield batch


@dataclass
class Wire:
    """A grid, who is on it, and the transcript."""

    grid: Grid
    nodes: Mapping[int, int]
    """Node id of every partition."""
    transcript: Transcript
    timeout: float | None = None
    """Seconds for one client; None to wait for ever."""
    parallel: int = 1
    """Clients that work at the same time, on which the patience with all of them depends."""

    def ask(
        self, phase: str, requests: Requests, noted: Noted, lost: frozenset[int] = frozenset()
    ) -> list[Exchange]:
        """Send every request and wait for what comes back.

        Exchanges that the transcript has already are not repeated: this is how an
        interrupted run goes on.

        Args:
            phase: ``train`` or ``evaluate``.
            requests: payloads by group (round or product) and partition.
            noted: called with every new exchange.
            lost: partitions whose reply is to be lost.

        Returns:
            The exchanges of the requests' groups, in order of group and partition.
        """
        groups = list(dict.fromkeys(group for group, _ in requests))
        done = {(group, pid) for group in groups for pid in self.transcript.of(phase, group)}
        sent: list[_Sent] = []
        for (group, pid), payload in requests.items():
            if (group, pid) in done:
                continue
            message = Message(content(payload), self.nodes[pid], phase, group_id=group)
            one = _Sent(phase, group, pid, payload, message)
            if pid in lost:
                self._note(one.without_reply("dropped", ""), noted)
            else:
                sent.append(one)
        waiting = self._push(sent, noted)
        self._collect(waiting, noted)
        return [e for group in groups for e in self.transcript.of(phase, group).values()]

    def _push(self, sent: Sequence[_Sent], noted: Noted) -> dict[str, _Sent]:
        """Hand messages to the grid, small ones many at a time; returns them by id."""
        waiting: dict[str, _Sent] = {}
        for batch in _batches(sent):
            ids = set(self.grid.push_messages([one.message for one in batch]))
            for one in batch:
                if one.message.metadata.message_id in ids:
                    waiting[one.message.metadata.message_id] = one
                else:  # the SuperLink's log says why
                    unsent = replace(one, payload=b"")
                    reason = "the message was not sent"
                    self._note(unsent.without_reply("failed", reason, (0, 0)), noted)
        return waiting

    def _collect(self, waiting: dict[str, _Sent], noted: Noted) -> None:
        turns = -(-len(waiting) // self.parallel)
        end = None if self.timeout is None else time.monotonic() + self.timeout * turns
        pause = _SHORTEST
        while waiting and (end is None or time.monotonic() < end):
            replies = list(self.grid.pull_messages(list(waiting)))
            for reply in replies:
                message_id = reply.metadata.reply_to_message_id
                grid = self.grid if isinstance(self.grid, LocalGrid) else None
                lengths = grid.lengths(message_id) if grid else None
                self._note(waiting.pop(message_id).answered(reply, lengths), noted)
            pause = _SHORTEST if replies else min(2 * pause, _LONGEST)
            if not replies and not isinstance(self.grid, LocalGrid):  # which waits itself
                time.sleep(pause)
        for sent in waiting.values():
            self._note(sent.without_reply("timeout", f"no reply within {self.timeout:g} s"), noted)

    def _note(self, exchange: Exchange, noted: Noted) -> None:
        self.transcript.add(exchange)
        noted(exchange)
