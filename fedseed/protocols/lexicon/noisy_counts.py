"""Counts of texts that were noised before they left: what one text can change is hidden in them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import WireError
from fedseed.linear.bounded_counts import from_numbers, to_numbers
from fedseed.linear.buckets import names
from fedseed.linear.class_counts import ClassCounts, lexicon_of_counts
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols.lexicon.count_coding import decode_counts, encode_counts
from fedseed.protocols.lexicon.counts import SummedCounts
from fedseed.seeds.kinds.lexicon.words import Lexicon

_LARGEST = (1 << 23) - 1


def encode_noisy_counts(counts: ClassCounts, buckets: int) -> bytes:
    """The body that goes up: as of counts, but they may be negative.

    A number n becomes 2 n, or -2 n - 1 where it is negative.

    Raises:
        WireError: there are more texts than can be told.
    """
    tokens = names(buckets)
    numbers = to_numbers(counts, tokens)
    if np.abs(numbers).max() > _LARGEST:
        raise WireError("more texts than counts can hold: give clients fewer")
    signed = np.where(numbers < 0, -2 * numbers - 1, 2 * numbers)
    head = 2 * len(counts.texts)
    coded = encode_counts(signed[head:].reshape(-1, len(tokens)))
    return bytes(signed[:head].astype("<u4").tobytes()) + coded


def decode_noisy_counts(body: bytes, classes: int, buckets: int) -> NDArray[np.int64]:
    """Read such a body: shape ``(classes * (2 + buckets),)``.

    Raises:
        WireError: malformed bytes.
    """
    if len(body) < 8 * classes:
        raise WireError("the counts are truncated")
    head = np.frombuffer(body[: 8 * classes], "<u4").astype(np.int64)
    if head.max() > 2 * _LARGEST + 1:
        raise WireError("not believable: more texts than counts can hold")
    rest = decode_counts(body[8 * classes :], classes, len(names(buckets)))
    signed = np.concatenate([head, rest.ravel()])
    return np.where(signed % 2 == 1, -(signed // 2) - 1, signed // 2)


class NoisyCounts(SummedCounts):
    """The sum of counts that every client has noised, and naive Bayes that knows of the noise."""

    def __init__(self, classes: int, buckets: int, max_length: int, defence: Defence) -> None:
        """Begin with no text.

        Args:
            classes: how many.
            buckets: 0 for one a token.
            max_length: tokens of a text that count; the unit of lengths.
            defence: what every client does.
        """
        super().__init__(classes, buckets, max_length)
        self._of_one = defence.own_noise**2
        self._clients = 0

    def take(self, examples: int, body: bytes) -> None:  # noqa: ARG002  # they are hidden
        """See :class:`Estimate`."""
        self._add(decode_noisy_counts(body, self._classes, self._buckets), 1)

    def take_sum(self, examples: int, total: NDArray[np.int64], clients: int) -> None:  # noqa: ARG002
        """See :class:`Estimate`."""
        self._add(total, clients)

    def _add(self, numbers: NDArray[np.int64], clients: int) -> None:
        self._clients += clients
        noise = clients * self._of_one
        self._sum += from_numbers(numbers, self._classes, names(self._buckets), noise)

    def lexicon(self, most_bytes: int) -> Lexicon:
        """See :class:`Estimate`: of counts that noise has not made absurd."""
        texts = np.maximum(self._sum.texts, 1)
        tokens = np.clip(self._sum.tokens, 1, texts) * self._length
        likely = replace(self._sum, texts=texts, tokens=tokens)
        return lexicon_of_counts(likely, most_bytes, self._buckets)

    def save(self) -> bytes:
        """See :class:`Estimate`: the clients, then the sums."""
        return np.array([self._clients], "<i8").tobytes() + super().save()

    def load(self, data: bytes) -> None:
        """See :class:`Estimate`."""
        if len(data) != 8 * (1 + self.sum_length()):
            raise WireError("the checkpoint is of other classes or buckets")
        clients, *_ = numbers = np.frombuffer(data, "<i8").astype(np.int64)
        self._clients, self._sum = 0, ClassCounts.none(self._classes)
        self._add(numbers[1:], int(clients))

    def describe(self, body: bytes) -> str:
        """See :class:`Estimate`: nothing that noise has not made private."""
        return "noised counts" if body else ""

    def upload_estimate(self) -> int:
        """See :class:`Estimate`: noise takes about so many bits a number."""
        bits = 2.5 + np.log2(1 + np.sqrt(self._of_one))
        return int(self.sum_length() * bits / 8) + 300
