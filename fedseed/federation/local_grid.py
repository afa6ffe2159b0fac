"""An in-process Grid: Flower's apps without a server, ray or a network.

The only file that relies on internals of the pinned Flower version: the identity that a
message takes from its process, and the message id that a SuperLink would set.
"""

import hashlib
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from google.protobuf.message import DecodeError

from fedseed.config import Cell
from fedseed.errors import OutputError, RunError
from fedseed.federation.executors import Executor, Result, Task
from fedseed.federation.kept_states import KeptStates, begins, place_of
from fedseed.federation.messages import (
    context_from_bytes,
    context_to_bytes,
    error_reply,
)


def _number(name: str) -> int:
    """A 63-bit number from a name: as long on the wire as Flower's random ones."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1


def _place(message: Message) -> int:
    """Where a message stands in a run's order: its round; tests come after all rounds."""
    return place_of(message.metadata.message_type, message.metadata.group_id)


class LocalGrid(Grid):
    """Runs a ClientApp for every message, in partition order, on an executor.

    Node ids are derived from partition ids, so that messages have the same length in every
    run. A client's context lives here between its messages, and on disk when ``state_folder``
    is given, so that a resumed run finds it again: as it was after each of the last two rounds
    in which it changed, because a run may be taken up before the last one.
    """

    def __init__(
        self,
        executor: Executor,
        partitions: int,
        run_config: dict[str, Cell],
        state_folder: Path | None = None,
    ) -> None:
        """Make a grid of one node for each partition."""
        self._executor = executor
        self._state_folder = state_folder
        self._run = Run.create_empty(run_id=_number("run"))
        self._sent = 0
        self._nodes = {_number(f"node/{pid}"): pid for pid in range(partitions)}
        self._contexts: dict[int, bytes] = {}
        self._run_config = run_config
        self._partitions = partitions
        self._replies: dict[str, Message] = {}
        self._lengths: dict[str, tuple[int, int]] = {}
        TaskIdentity.run_id = self._run.run_id
        TaskIdentity.node_id = 1  # Flower's number of the SuperLink
        TaskIdentity.task_id = _number("task")

    def set_run(self, run: Run) -> None:
        """Set the run; see :class:`flwr.serverapp.Grid`."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run that this grid serves."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Make a message; see :class:`flwr.serverapp.Grid`."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def lengths(self, message_id: str) -> tuple[int, int] | None:
        """Serialised length of a message and of its reply, given once; None when not noted."""
        return self._lengths.pop(message_id, None)

    @property
    def partitions(self) -> dict[int, int]:
        """Node id of every partition: nobody needs to be asked."""
        return {pid: node for node, pid in self._nodes.items()}

    def get_node_ids(self) -> Iterable[int]:
        """Return the node ids, in partition order."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Queue messages and return their ids."""
        ids: list[str] = []
        for message in messages:
            self._sent += 1
            name = f"{message.metadata.group_id}/{message.metadata.dst_node_id}/{self._sent}"
            digest = hashlib.sha256(name.encode()).digest()[:16]
            message.metadata.__dict__["_message_id"] = str(uuid.UUID(bytes=digest))
            node = message.metadata.dst_node_id
            timed = message.metadata.message_type != "query"
            task = Task(message, self._context(node, message), timed)
            self._executor.submit(message.metadata.message_id, task)
            ids.append(message.metadata.message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that are ready; waits a moment when there are none."""
        wanted = set(message_ids)
        if not wanted & self._replies.keys():
            for message_id, result in self._executor.finished():
                self._replies[message_id] = self._reply(result)
                if result.error is None:
                    self._lengths[message_id] = result.lengths
        return [self._replies.pop(ready) for ready in list(self._replies) if ready in wanted]

    def _reply(self, result: Result) -> Message:
        message = result.task.message
        if result.error is not None or result.reply is None:
            return error_reply(message, result.error or RunError("it sent no reply"))
        if result.context != result.task.context:
            self._keep(message.metadata.dst_node_id, _place(message), result.context)
        return result.reply

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages and wait for their replies, at most ``timeout`` seconds."""
        waiting = set(self.push_messages(messages))
        replies: list[Message] = []
        end = None if timeout is None else time.monotonic() + timeout
        while waiting and (end is None or time.monotonic() < end):
            for reply in self.pull_messages(waiting):
                waiting.discard(reply.metadata.reply_to_message_id)
                replies.append(reply)
        return replies

    def _context(self, node: int, message: Message) -> bytes:
        """A client's context before its work on a message."""
        if node not in self._contexts:
            pid = self._nodes[node]
            context = Context(
                run_id=self._run.run_id,
                node_id=node,
                node_config={"partition-id": pid, "num-partitions": self._partitions},
                state=RecordDict(),
                run_config=dict(self._run_config),
            )
            kept = self._kept(node, message)
            if kept is not None:
                try:
                    context.state = context_from_bytes(kept.read_bytes()).state
                except DecodeError as error:
                    raise OutputError(f"{kept} is damaged: start the run again") from error
            return context_to_bytes(context)
        return self._contexts[node]

    def _keep(self, node: int, place: int, context: bytes) -> None:
        if self._state_folder is None:
            self._contexts[node] = context
            return
        self._states(node).keep(place, context)

    def _kept(self, node: int, message: Message) -> Path | None:
        """The file of a client's context before its work on a message, if there is one."""
        if self._state_folder is None:
            return None
        sums = bool(self._run_config.get("secure-aggregation"))
        anew = begins(message.metadata.message_type, sums)
        return self._states(node).latest(_place(message), anew)

    def _states(self, node: int) -> KeptStates:
        assert self._state_folder is not None
        return KeptStates(self._state_folder / str(self._nodes[node]))
