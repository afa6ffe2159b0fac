"""What Flower should count for a run: from its ledger's messages, and what Flower puts around each.

A SuperLink counts what SuperNodes pull and push: for each message a description with a tree of its
objects' hashes, then the objects themselves. Flower's own classes are asked here how long all that
is for a payload of so many bytes. The messages of the agreement, which no ledger has, are added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flwr.app import Message, MetricRecord, RecordDict
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import (
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.task_identity import TaskIdentity

from fedseed.federation.messages import PARTITION, content
from fedseed.transcript import Exchange

_ID = (1 << 63) + 1
"""A node's or a run's, of the usual length."""
_HASH, _SESSION = "0" * 64, "0" * 36
_ENOUGH = 1 << 16
"""Bytes of a payload from which on what is around it does not grow, but for its lengths."""
_TERMS = 250
"""Bytes of the agreed terms, about."""
_ANSWER = 25
"""Bytes of an answer in the agreement, about: a site's name, or names of classes."""


@dataclass(frozen=True)
class Traffic:
    """Bytes to the nodes, and from them."""

    down: int
    up: int

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.down + other.down, self.up + other.up)


def payloads(transcript: Path) -> Traffic:
    """What a run's messages held, in training and tests."""
    found = [one.payload_bytes for one in _exchanges(transcript)]
    return Traffic(sum(one["down"] for one in found), sum(one["up"] for one in found))


def expected(transcript: Path, nodes: int, *, asked_for_classes: bool) -> Traffic:
    """What Flower should count.

    Args:
        transcript: of the run's folder, with every message of training and tests.
        nodes: how many took part in the agreement.
        asked_for_classes: whether they were asked what their classes are called.
    """
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = _ID  # a message asks
    total = Traffic(0, 0)
    for one in _exchanges(transcript):
        size = one.payload_bytes
        down, up = (min(size[way], _ENOUGH) for way in ("down", "up"))
        total += _exchange(one.phase, one.group, content(bytes(down)), content(bytes(up)))
        total += Traffic(size["down"] - down, size["up"] - up)
    number = RecordDict({PARTITION: MetricRecord({PARTITION: 1})})
    introduced = _exchange("query", "0", RecordDict(), number)
    agreed = _exchange("query.agree", "0", content(bytes(_TERMS)), content(bytes(_ANSWER)))
    named = _exchange("query.labels", "0", content(b""), content(bytes(_ANSWER)))
    for _ in range(nodes):
        total += introduced + agreed + (named if asked_for_classes else Traffic(0, 0))
    return total


def _exchanges(transcript: Path) -> Iterator[Exchange]:
    with transcript.open(encoding="utf-8") as lines:
        yield from map(Exchange.from_line, lines)


def _exchange(kind: str, group: str, down: RecordDict, up: RecordDict) -> Traffic:
    """One message to a node, and its answer."""
    asked = Message(down, _ID, kind, group_id=group)
    _address(asked, 1)
    answer = Message(up, reply_to=asked)
    _address(answer, _ID)
    node = Node(node_id=_ID)
    pulled = PullMessagesResponse(
        messages_list=[message_to_proto(_empty(asked))],
        message_object_trees=[get_object_tree(asked)],
    )
    pushed = PushMessagesRequest(
        node=node, messages_list=[message_to_proto(_empty(answer))],
        message_object_trees=[get_object_tree(answer)], clientapp_runtime_list=[1.0],
    )  # fmt: skip
    wanted = PushMessagesResponse(
        results={_HASH: 0},
        objects_to_push=list(get_all_nested_objects(answer)),
        session_id=_SESSION,
    )
    return Traffic(
        pulled.ByteSize() + _objects(asked) + wanted.ByteSize(),
        PullMessagesRequest(node=node).ByteSize() + pushed.ByteSize() + _objects(answer),
    )


def _address(message: Message, source: int) -> None:
    """Fill in what Flower fills in on the way."""
    message.metadata.__dict__ |= {"_run_id": _ID, "_src_node_id": source, "_message_id": _HASH}


def _empty(message: Message) -> Message:
    """The message as it is described: without its content."""
    bare = Message(RecordDict(), _ID, message.metadata.message_type)
    bare.metadata.__dict__ |= message.metadata.__dict__
    return bare


def _objects(message: Message) -> int:
    return sum(len(one.deflate()) for one in get_all_nested_objects(message).values())
