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
from fedseed.protocols.base import Memory

_PART, _ROUND, _SUMMED = "sum", "sum round", "summed"


class SumClient:
    """Takes part in one sum a round.

    Questions come one by one, perhaps to different processes: what the client knows of a sum is in
    its memory, and leaves it with the last answer.
    """

    def __init__(self, memory: Memory, number: int, least: int = 2, once: bool = False) -> None:
        """Look at a client's memory.

        Args:
            memory: what it keeps between messages.
            number: the client's own.
            least: the fewest clients whose sum it takes part in.
            once: whether it answers for a round only once. A second sum of the same round without
                one client would tell that client's answer, so whoever does not trust the server
                says yes; a simulation that is resumed makes a round's sum again.
        """
        self._memory, self._number, self._least, self._once = memory, number, least, once

    def advertise(self, round_number: int) -> bytes:
        """Draw keys for a round's sum; returns the public ones.

        Raises:
            WireError: the round's sum was answered before.
        """
        summed = int.from_bytes(self._memory.get(_SUMMED, b""), "little")
        if self._once and round_number <= summed:
            raise WireError(f"secure aggregation: round {round_number} is summed already")
        person = Participant(self._number, self._least)
        answer = person.advertise()
        self._keep(person, round_number)
        return answer

    def share(self, round_number: int, payload: bytes) -> bytes:
        """Share secrets among the neighbours whose keys the payload has."""
        threshold, keys = decode_keys(payload)
        person = self._person(round_number)
        answer = encode_parts(person.share(keys, threshold))
        self._keep(person, round_number)
        return answer

    def mask(self, round_number: int, payload: bytes, answer: Callable[[bytes], Words]) -> bytes:
        """Answer what stands in the payload after the neighbours' shares, and hide the answer.

        Args:
            round_number: which.
            payload: sealed shares, then what the protocol sent.
            answer: makes the vector of the latter.
        """
        sealed, request = split_parts(payload)
        person = self._person(round_number)
        masked = person.mask(sealed, answer(request))
        self._memory[_SUMMED] = round_number.to_bytes(8, "little")
        self._keep(person, round_number)
        return encode_words(masked)

    def reveal(self, round_number: int, payload: bytes) -> bytes:
        """Give the shares that take the masks off the sum, and forget everything."""
        survivors, lost = decode_question(payload)
        answer = self._person(round_number).reveal(survivors, lost)
        for name in (_PART, _ROUND):
            del self._memory[name]
        return encode_parts(answer)

    def _keep(self, person: Participant, round_number: int) -> None:
        self._memory[_PART], self._memory[_ROUND] = person.save(), str(round_number).encode()

    def _person(self, round_number: int) -> Participant:
        if self._memory.get(_ROUND) != str(round_number).encode():
            raise WireError(f"secure aggregation: no sum of round {round_number} has begun here")
        return Participant.load(self._memory[_PART])
