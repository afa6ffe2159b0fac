"""Words by counts: how many of a client's texts have them, by class; the server's exact sums."""

import struct

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import WireError
from fedseed.linear.bounded_counts import from_numbers, to_numbers
from fedseed.linear.buckets import names
from fedseed.linear.class_counts import ClassCounts, lexicon_of_counts
from fedseed.protocols.lexicon.count_coding import decode_counts, encode_counts
from fedseed.protocols.lexicon.estimates import Estimate
from fedseed.seeds.kinds.lexicon.words import Lexicon

_LARGEST_COUNT = (1 << 24) - 1
_ENTRY_BITS, _DOUBLING_BITS = 2.3, 1.2
"""About what a count of a token takes, and more for each time that buckets halve: measured on
2,000 reviews."""


def encode_class_counts(counts: ClassCounts, buckets: int) -> bytes:
    """The body that goes up: texts and tokens of each class, and the counts.

    Raises:
        WireError: there are more texts than can be told.
    """
    if counts.tokens.sum() >= 1 << 32 or counts.texts.max() > _LARGEST_COUNT:
        raise WireError("more texts than counts can hold: give clients fewer")
    head = np.concatenate([counts.texts, counts.tokens]).astype("<u4").tobytes()
    return head + encode_counts(counts.present[:, names(buckets)])


def decode_class_counts(body: bytes, classes: int, buckets: int, max_length: int) -> ClassCounts:
    """Read such a body; an empty one counts no text.

    Args:
        body: what came up.
        classes: number of classes.
        buckets: that were asked for.
        max_length: tokens of a text that count.

    Raises:
        WireError: malformed bytes, or counts that no texts have.
    """
    found = ClassCounts.none(classes)
    if not body:
        return found
    if len(body) < 8 * classes:
        raise WireError("the counts are truncated")
    texts, tokens = np.frombuffer(body[: 8 * classes], "<u4").reshape(2, classes).astype(np.int64)
    found.present[:, names(buckets)] = decode_counts(
        body[8 * classes :], classes, len(names(buckets))
    )
    counts = ClassCounts(texts, tokens, found.present)
    _refuse_impossible(counts)
    if (tokens > texts * max_length).any():
        raise WireError(f"not believable: texts of more than {max_length} tokens")
    return counts


def _refuse_impossible(counts: ClassCounts) -> None:
    """Refuse counts that no texts have.

    Raises:
        WireError: more texts have a word than there are, or they have more words than tokens.
    """
    if (counts.present > counts.texts[:, None]).any():
        raise WireError("not believable: more texts with a word than texts")
    if (counts.present.sum(axis=1) > counts.tokens).any():
        raise WireError("not believable: more words than tokens")


class SummedCounts(Estimate):
    """The sum of all counts that came up, and naive Bayes of it."""

    def __init__(self, classes: int, buckets: int, max_length: int) -> None:
        """Begin with no text."""
        self._classes, self._buckets, self._length = classes, buckets, max_length
        self._sum = ClassCounts.none(classes)

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`Estimate`."""
        part = decode_class_counts(body, self._classes, self._buckets, self._length)
        if body and part.texts.sum() != examples:
            raise WireError(f"not believable: counts of {part.texts.sum()} texts of {examples}")
        self._sum += part

    def sum_length(self) -> int:
        """See :class:`Estimate`."""
        return self._classes * (2 + len(names(self._buckets)))

    def take_sum(self, examples: int, total: NDArray[np.int64], clients: int) -> None:  # noqa: ARG002
        """See :class:`Estimate`."""
        part = from_numbers(total, self._classes, names(self._buckets))
        if (total < 0).any() or part.texts.sum() != examples:
            raise WireError(f"not believable: counts of {part.texts.sum()} texts of {examples}")
        _refuse_impossible(part)
        self._sum += part

    def finish_round(self) -> None:
        """See :class:`Estimate`: the sum is what it is."""

    def lexicon(self, most_bytes: int) -> Lexicon:
        """See :class:`Estimate`."""
        return lexicon_of_counts(self._sum, most_bytes, self._buckets)

    def save(self) -> bytes:
        """See :class:`Estimate`."""
        return bytes(to_numbers(self._sum, names(self._buckets)).astype("<i8").tobytes())

    def load(self, data: bytes) -> None:
        """See :class:`Estimate`."""
        classes, tokens = self._classes, names(self._buckets)
        if len(data) != 8 * classes * (2 + len(tokens)):
            raise WireError("the checkpoint is of other classes or buckets")
        numbers = np.frombuffer(data, "<i8").astype(np.int64)
        if (numbers < 0).any():
            raise WireError("the checkpoint has negative counts")
        total = from_numbers(numbers, classes, tokens)
        _refuse_impossible(total)
        self._sum = total

    def describe(self, body: bytes) -> str:
        """See :class:`Estimate`: how many texts were counted."""
        if len(body) < 8 * self._classes:
            return ""
        texts = struct.unpack_from(f"<{self._classes}I", body)
        return f"counts of {sum(texts):,} texts"

    def upload_estimate(self) -> int:
        """See :class:`Estimate`."""
        entries = len(names(self._buckets))
        bits = _ENTRY_BITS + _DOUBLING_BITS * np.log2(len(names(0)) / entries)
        return int(self._classes * (8 + bits / 8 * entries)) + 300
