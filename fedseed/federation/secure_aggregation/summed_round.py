"""The server's side of a round's sum over the wire: four questions to every client."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedseed.coding.vectors import Words
from fedseed.errors import RunError, WireError
from fedseed.federation.round_record import first_reasons
from fedseed.federation.secure_aggregation.coordinator import Coordinator
from fedseed.federation.secure_aggregation.messages import (
    decode_parts,
    decode_words,
    encode_keys,
    encode_parts,
    encode_question,
)
from fedseed.federation.secure_aggregation.neighbours import NEIGHBOURS, Graph, ring
from fedseed.transcript import TRAIN, Exchange

Ask = Callable[[str, Mapping[int, bytes], frozenset[int]], Sequence[Exchange]]
"""Sends payloads of a phase by partition, of which some replies are to be lost."""


@dataclass(frozen=True)
class Summed:
    """A round's sum."""

    total: Words
    """Of the vectors, shape ``(length,)``."""
    of: list[int]
    """The clients in it, in ascending order."""
    exchanges: list[Exchange]
    """Everything that was sent for it."""

    def last_of(self, number: int) -> Exchange:
        """What came last of a client's: its masked vector, or why there is none."""
        own = [
            e for e in self.exchanges if e.partition_id == number and not e.phase.endswith("reveal")
        ]
        return own[-1]


def graph_of(cohort: Sequence[int], threshold: int, rng: np.random.Generator) -> Graph:
    """Who shares keys with whom in a round.

    Args:
        cohort: the clients.
        threshold: fewest of them whose sum may become known; of neighbours as large a share.
        rng: draws the ring's order.
    """
    order = [cohort[place] for place in rng.permutation(len(cohort))]
    size = min(len(cohort), NEIGHBOURS + 1)
    of_neighbours = max(2, size // 2 + 1, -(-size * threshold // len(cohort)))
    return ring(order, NEIGHBOURS, of_neighbours)


class SummedRound:
    """Asks the clients of a round for the sum of their vectors."""

    def __init__(self, ask: Ask, graph: Graph, length: int, least: int, phase: str = TRAIN) -> None:
        """Prepare a sum.

        Args:
            ask: sends payloads and waits for replies.
            graph: the cohort.
            length: numbers of a vector.
            least: fewest clients whose sum may become known.
            phase: what is summed, contributions or tests.
        """
        self._ask, self._graph, self._phase = ask, graph, phase
        self._server = Coordinator(graph, length, least)
        self._exchanges: list[Exchange] = []

    def run(self, payloads: Mapping[int, bytes], lost: frozenset[int] = frozenset()) -> Summed:
        """Ask all four questions.

        Args:
            payloads: what the protocol sends to every client.
            lost: clients whose masked vector is lost on purpose.

        Raises:
            RunError: too few clients are left, or their shares do not fit: nothing is known. The
                message has the first reasons.
        """
        try:
            return self._run(payloads, lost)
        except RunError as error:
            ended = [(e.partition_id, e.status, e.reason) for e in self._exchanges]
            raise RunError(f"{error}: {first_reasons(ended)}".rstrip(": ")) from error

    def _run(self, payloads: Mapping[int, bytes], lost: frozenset[int]) -> Summed:
        server = self._server
        main = self._phase
        keys = server.advertised(self._answers(f"{main}.advertise", dict.fromkeys(payloads, b"")))
        threshold = self._graph.threshold
        asked = {number: encode_keys(threshold, around) for number, around in keys.items()}
        boxes = server.shared(self._parts(f"{main}.share", asked))
        asked = {number: encode_parts(box) + payloads[number] for number, box in boxes.items()}
        masked = self._answers(main, asked, lost)
        questions = server.masked({number: decode_words(data) for number, data in masked.items()})
        asked = {number: encode_question(*which) for number, which in questions.items()}
        total = server.sum(self._parts(f"{main}.reveal", asked))
        return Summed(total, server.members, self._exchanges)

    def _answers(
        self, phase: str, payloads: Mapping[int, bytes], lost: frozenset[int] = frozenset()
    ) -> dict[int, bytes]:
        exchanges = self._ask(phase, payloads, lost)
        self._exchanges += exchanges
        return {e.partition_id: e.up for e in exchanges if e.status == "ok"}

    def _parts(self, phase: str, payloads: Mapping[int, bytes]) -> dict[int, dict[int, bytes]]:
        """Answers that are maps; a malformed one is as good as none."""
        found = {}
        for number, data in self._answers(phase, payloads).items():
            try:
                found[number] = decode_parts(data)
            except WireError:
                continue
        return found
