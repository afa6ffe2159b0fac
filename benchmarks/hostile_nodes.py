"""Nodes that are played in this process, some of which answer what no node of ours would."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from flwr.app import Message
from flwr.serverapp import Grid

from benchmarks.hostile_parts import mutated
from fedseed.errors import WireError
from fedseed.federation.messages import content
from fedseed.federation.secure_aggregation.messages import (
    decode_keys,
    decode_question,
    encode_parts,
    encode_words,
    split_parts,
)
from fedseed.federation.secure_aggregation.neighbours import ring
from fedseed.federation.secure_aggregation.participant import Participant
from fedseed.federation.secure_aggregation.summed_round import SummedRound
from fedseed.transcript import Exchange

_LENGTH = 5


class Play:
    """A sum of three clients, one of which answers one question with other bytes."""

    def __init__(self, stage: str, rng: np.random.Generator) -> None:
        self.stage, self._rng = stage, rng
        self._people = {number: Participant(number) for number in range(3)}
        self._vectors = rng.integers(0, 2**32, (3, _LENGTH), dtype=np.uint32)

    def work(self) -> str:
        """Play it; says whether the sum is that of those who are in it."""
        graph = ring(range(3), 32, 2)
        summed = SummedRound(self._ask, graph, _LENGTH, 2).run(dict.fromkeys(range(3), b"x"))
        right = np.sum(self._vectors[summed.of], axis=0, dtype=np.uint32)
        if np.array_equal(right, summed.total):
            return "ok"
        return "another sum" if 0 in summed.of else "another sum, without the liar"

    def _ask(self, phase: str, asked: Mapping[int, bytes], _: frozenset[int]) -> list[Exchange]:
        step, found = phase.partition(".")[2] or "main", []
        for number, payload in asked.items():
            answer = self._answer(step, number, payload)
            if number == 0 and step == self.stage:
                answer = mutated(answer, self._rng, [answer[::-1]])
            found.append(Exchange(phase, "1", number, "ok", payload, 0, answer, 0, ""))
        return found

    def _answer(self, step: str, number: int, payload: bytes) -> bytes:
        person = self._people[number]
        try:
            if step == "advertise":
                return person.advertise()
            if step == "share":
                threshold, keys = decode_keys(payload)
                return encode_parts(person.share(keys, threshold))
            if step == "main":
                return encode_words(person.mask(split_parts(payload)[0], self._vectors[number]))
            return encode_parts(person.reveal(*decode_question(payload)))
        except WireError:
            return b""


class Serial:
    """In place of a pool of threads, which take longer to start than a short secret to share."""

    map = staticmethod(map)

    def __init__(self, **_: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Answers(Grid):
    """Nodes that say what they are told to say."""

    def __init__(self, said: Mapping[int, bytes]) -> None:
        self.said, self._replies, self._ids = said, dict[str, Message](), 0

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """See :class:`Grid`: the answer is there at once."""
        for message in messages:
            self._ids += 1
            name = f"m{self._ids}"
            message.metadata.__dict__["_message_id"] = name
            answer = self.said[message.metadata.dst_node_id]
            self._replies[name] = Message(content(answer), reply_to=message)
            yield name

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """See :class:`Grid`."""
        return [self._replies.pop(one) for one in message_ids if one in self._replies]

    def set_run(self, run: Any) -> None:
        """See :class:`Grid`."""

    @property
    def run(self) -> Any:
        """See :class:`Grid`; nobody asks."""
        raise NotImplementedError

    def create_message(self, *_: Any, **__: Any) -> Message:
        """See :class:`Grid`; nobody asks."""
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        """See :class:`Grid`."""
        return list(self.said)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Any:
        """See :class:`Grid`; nobody asks."""
        raise NotImplementedError
