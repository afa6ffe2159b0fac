"""Which node holds which partition: asked of Flower's nodes before the first round."""

import time
from collections.abc import Mapping

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedseed.errors import RunError
from fedseed.federation.local_grid import LocalGrid
from fedseed.federation.messages import PARTITION

_PATIENCE = 300.0
"""Seconds to wait for all nodes to answer before a run is given up."""
_ASK_AGAIN = 20.0
"""Seconds after which a node that has not answered is asked again."""
_STRAGGLE = 60.0
"""Seconds that a question may stay without an answer once all partitions are known."""
_PAUSE = 0.25
"""Seconds between two looks for answers."""


def find_nodes(grid: Grid, partitions: int) -> dict[int, int]:
    """Ask every node for its partition.

    Args:
        grid: the way to the nodes.
        partitions: how many there are to find, counted from 0.

    Returns:
        Node ids by partition, in order of partition.

    Raises:
        RunError: some partition is on no node that answers within five minutes.
    """
    if isinstance(grid, LocalGrid):
        return grid.partitions
    search = _Search(grid, partitions)
    search.run()
    missing = [pid for pid in range(partitions) if pid not in search.nodes]
    if missing:
        raise RunError(
            f"partition(s) {missing[:10]} are on no node that answers: {search.likely_cause}"
        )
    return dict(sorted(search.nodes.items()))


def collect_replies(grid: Grid, messages: Mapping[int, Message]) -> dict[int, Message | None]:
    """Ask nodes before the first round; of those that do not answer within five minutes None.

    Args:
        grid: the way to the nodes.
        messages: what to ask, by partition.
    """
    sent = set(grid.push_messages(list(messages.values())))
    numbers = {pid: one.metadata.message_id for pid, one in messages.items()}
    waiting = {number: pid for pid, number in numbers.items() if number in sent}
    replies: dict[int, Message | None] = dict.fromkeys(messages)
    end = time.monotonic() + _PATIENCE
    while waiting and time.monotonic() < end:
        found = list(grid.pull_messages(list(waiting)))
        for reply in found:
            replies[waiting.pop(reply.metadata.reply_to_message_id)] = reply
        if not found:
            time.sleep(_PAUSE)
    return replies


class _Search:
    """Questions to nodes that have not answered, until every partition is known."""

    def __init__(self, grid: Grid, partitions: int) -> None:
        self.nodes: dict[int, int] = {}
        self.likely_cause = f"start {partitions} nodes (--clients and --newcomers together)"
        self._grid = grid
        self._partitions = partitions
        self._asked_at: dict[int, float] = {}
        self._waiting: set[str] = set()
        """Ids of the questions under way."""

    @property
    def _complete(self) -> bool:
        return len(self.nodes) == self._partitions

    def run(self) -> None:
        """Ask until all partitions are known and all questions answered, or time is up."""
        now = time.monotonic()
        end = now + _PATIENCE
        # A question that is still under way could undo what a client remembers of its first
        # round: the rounds begin when all are answered.
        while (not self._complete or self._waiting) and now < end:
            if not self._complete:
                self._ask(now)
            for reply in list(self._grid.pull_messages(self._waiting)):
                self._take(reply)
            time.sleep(_PAUSE)
            now = time.monotonic()
            if self._complete:
                end = min(end, max(self._asked_at.values()) + _STRAGGLE)

    def _ask(self, now: float) -> None:
        silent = [
            node
            for node in self._grid.get_node_ids()
            if node not in self.nodes.values()
            and now - self._asked_at.get(node, -_ASK_AGAIN) >= _ASK_AGAIN
        ]
        if silent:
            messages = [Message(RecordDict(), node, "query", group_id="0") for node in silent]
            self._waiting.update(self._grid.push_messages(messages))
            self._asked_at.update(dict.fromkeys(silent, now))

    def _take(self, reply: Message) -> None:
        self._waiting.discard(reply.metadata.reply_to_message_id)
        if reply.has_content() and PARTITION in reply.content.metric_records:
            pid = reply.content.metric_records[PARTITION][PARTITION]
            # Nobody can claim what there is not, or what another living node has said first.
            if not isinstance(pid, int) or pid not in range(self._partitions):
                return
            if pid not in self.nodes or self.nodes[pid] not in self._grid.get_node_ids():
                self.nodes[pid] = reply.metadata.src_node_id
        elif reply.has_error():
            self.likely_cause = f"one says: {reply.error.reason}"
