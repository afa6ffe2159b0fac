"""A client's answers to the four questions of a sum; between them its part is in its memory."""

from collections.abc import Callable

from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.federation.secure_aggregation.messages import (
    decode_keys,
    decode_question,
    encode_parts,
    encode_words,
    split_parts,
)
from fedseed.federation.secure_aggregation.participant import Participant
from fedseed.memory import Memory

_PART, _ROUND, _SUMMED = "sum", "sum round", "summed"
_LONGEST_GROUP = 100


class SumClient:
    """Takes part in one sum a round.

    Questions come one by one, perhaps to different processes: what the client knows of a sum is in
    its memory, and leaves it with the last answer.
    """

    def __init__(
        self,
        memory: Memory,
        number: int,
        least: int = 2,
        once: bool = False,
        counters: Memory | None = None,
    ) -> None:
        """Look at a client's memory.

        Args:
            memory: what it keeps between messages.
            number: the client's own.
            least: the fewest clients whose sum it takes part in.
            once: whether it answers for a round only once. A second sum of the same round without
                one client would tell that client's answer, so whoever does not trust the server
                says yes; a simulation that is resumed makes a round's sum again.
            counters: what was summed, which is never taken back; ``memory`` when None.
        """
        self._memory, self._number, self._least, self._once = memory, number, least, once
        self._counters = memory if counters is None else counters

    def advertise(self, group: str) -> bytes:
        """Draw keys for a sum; returns the public ones.

        Args:
            group: the round's number, or what is tested.

        Raises:
            WireError: the sum was answered before.
        """
        if not 0 < len(group) <= _LONGEST_GROUP or not group.isprintable():  # kept a line each
            raise WireError("secure aggregation: a sum's name is too long, or none to be shown")
        if self._once and self.is_past(group):
            raise WireError(
                f"secure aggregation: {_called(group)} is summed already, and no "
                "sum is answered twice: begin a study of another name"
            )
        person = Participant(self._number, self._least)
        answer = person.advertise()
        self._keep(person, group)
        return answer

    def is_past(self, group: str) -> bool:
        """Whether a sum was answered, or one of a later round."""
        if group.isdecimal():
            return int(group) <= int.from_bytes(self._counters.get(_SUMMED, b""), "little")
        return group in self._tests()

    def _tests(self) -> list[str]:
        return self._counters.get(f"{_SUMMED} tests", b"").decode().splitlines()

    def _note(self, group: str) -> None:
        if group.isdecimal():
            self._counters[_SUMMED] = int(group).to_bytes(8, "little")
        else:
            self._counters[f"{_SUMMED} tests"] = "\n".join([*self._tests(), group]).encode()

    def share(self, group: str, payload: bytes) -> bytes:
        """Share secrets among the neighbours whose keys the payload has."""
        threshold, keys = decode_keys(payload)
        person = self._person(group)
        answer = encode_parts(person.share(keys, threshold))
        self._keep(person, group)
        return answer

    def mask(self, group: str, payload: bytes, answer: Callable[[bytes], Words]) -> bytes:
        """Answer what stands in the payload after the neighbours' shares, and hide the answer.

        Args:
            group: which sum.
            payload: sealed shares, then what the protocol sent.
            answer: makes the vector of the latter.
        """
        sealed, request = split_parts(payload)
        person = self._person(group)
        masked = person.mask(sealed, answer(request))
        self._note(group)
        self._keep(person, group)
        return encode_words(masked)

    def reveal(self, group: str, payload: bytes) -> bytes:
        """Give the shares that take the masks off the sum, and forget everything."""
        survivors, lost = decode_question(payload)
        answer = self._person(group).reveal(survivors, lost)
        for name in (_PART, _ROUND):
            del self._memory[name]
        return encode_parts(answer)

    def _keep(self, person: Participant, group: str) -> None:
        self._memory[_PART], self._memory[_ROUND] = person.save(), group.encode()

    def _person(self, group: str) -> Participant:
        if self._memory.get(_ROUND) != group.encode():
            raise WireError(f"secure aggregation: no sum of {_called(group)} has begun here")
        return Participant.load(self._memory[_PART])


def _called(group: str) -> str:
    return f"round {group}" if group.isdecimal() else f"the test of {group!r:.100}"
