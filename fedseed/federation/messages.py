"""Payloads in and out of Flower messages, and messages in and out of bytes."""

import functools
from collections.abc import Iterator, MutableMapping

from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.common.serde import (
    context_from_proto,
    context_to_proto,
    message_from_proto,
    message_to_proto,
    recorddict_to_proto,
)
from flwr.proto.message_pb2 import Context as ContextProto
from flwr.proto.message_pb2 import Message as MessageProto

from fedseed.errors import WireError

PARTITION = "partition_id"
"""What a node's introduction holds."""
_RECORD, _FIELD = "fedseed", "payload"
_AROUND = 256
"""More bytes than Flower ever puts around a payload in its record."""
FAILED = 1
"""Code of an error reply: the client raised."""


def content(payload: bytes) -> RecordDict:
    """Put a payload into a message's content."""
    return RecordDict({_RECORD: ConfigRecord({_FIELD: payload})})


def payload_of(message: Message) -> bytes:
    """Take the payload out of a message.

    Raises:
        WireError: the message has none.
    """
    record = message.content.config_records.get(_RECORD) if message.has_content() else None
    payload = record.get(_FIELD) if record is not None else None
    if not isinstance(payload, bytes):
        raise WireError("the message holds no payload")
    return payload


def error_reply(message: Message, error: Exception) -> Message:
    """Tell the server, in one line, that the client raised."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
    return Message(Error(code=FAILED, reason=reason), reply_to=message)


def message_to_bytes(message: Message) -> bytes:
    """The message as it is serialised for the network."""
    return bytes(message_to_proto(message).SerializeToString())


def message_size(message: Message) -> int:
    """Length of the message as it is serialised for the network."""
    return int(message_to_proto(message).ByteSize())


def message_from_bytes(data: bytes) -> Message:
    """Read a serialised message."""
    return message_from_proto(MessageProto.FromString(data))


def to_parts(message: Message) -> tuple[bytes, bytes]:
    """A message serialised without its payload, and the payload.

    Between processes of one machine, where a large payload need not be copied into a message
    and out again.
    """
    record = message.content.config_records.get(_RECORD) if message.has_content() else None
    payload = record.get(_FIELD) if record is not None else None
    if record is None or not isinstance(payload, bytes):
        return message_to_bytes(message), b""
    record[_FIELD] = b""
    try:
        return message_to_bytes(message), payload
    finally:
        record[_FIELD] = payload


def from_parts(rest: bytes, payload: bytes) -> Message:
    """Put a message together again."""
    message = message_from_bytes(rest)
    if payload:
        message.content.config_records[_RECORD][_FIELD] = payload
    return message


def size_of_parts(rest: bytes, payload: bytes) -> int:
    """Length of the whole message as it is serialised for the network."""
    return len(rest) + _size_of_payload(len(payload))


def _size_of_payload(length: int) -> int:
    """What a payload adds to a message: itself, and longer length prefixes around it."""
    if length == 0:
        return 0
    # Prefixes are as long as around the shortest payload whose length has as many digits to the
    # base of 128: unless the little that Flower puts around it makes one digit more.
    digits = len(_varint(length))
    shortest = 128 ** (digits - 1)
    like = shortest if length + _AROUND < 128**digits else length
    return length + _prefixes(like)


@functools.lru_cache(maxsize=64)
def _prefixes(length: int) -> int:
    """What a payload adds to a message beside itself."""
    with_it, without = (
        recorddict_to_proto(content(bytes(size))).ByteSize() for size in (length, 0)
    )
    prefixes = len(_varint(with_it)) - len(_varint(without))
    return int(with_it - without + prefixes) - length


def _varint(number: int) -> bytes:
    return bytes(1 + max(0, number.bit_length() - 1) // 7)


def context_to_bytes(context: Context) -> bytes:
    """A client's context, serialised."""
    return bytes(context_to_proto(context).SerializeToString())


def context_from_bytes(data: bytes) -> Context:
    """Read a serialised context."""
    return context_from_proto(ContextProto.FromString(data))


class ContextMemory(MutableMapping[str, bytes]):
    """What a protocol's client keeps between rounds, stored in its Flower context."""

    def __init__(self, context: Context) -> None:
        """Use the context's state."""
        if _RECORD not in context.state.config_records:
            context.state[_RECORD] = ConfigRecord()
        self._record = context.state.config_records[_RECORD]

    def __getitem__(self, name: str) -> bytes:
        value = self._record[name]
        if not isinstance(value, bytes):
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: bytes) -> None:
        self._record[name] = value

    def __delitem__(self, name: str) -> None:
        del self._record[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._record)

    def __len__(self) -> int:
        return len(self._record)
