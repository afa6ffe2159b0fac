"""Words by counts: how many of a client's texts have them, by class; the server's exact sums."""

import struct

import numpy as np

from fedseed.errors import WireError
from fedseed.linear.buckets import names
from fedseed.linear.class_counts import ClassCounts, lexicon_of_counts
from fedseed.protocols.lexicon.count_coding import decode_counts, encode_counts
from fedseed.protocols.lexicon.estimates import Estimate
from fedseed.seeds.kinds.lexicon.words import Lexicon

_LONGEST_TEXT = 65_535
_LARGEST_COUNT = (1 << 24) - 1
_ENTRY_BYTES = 0.28
"""About what a count takes: measured on 2,000 reviews."""


def encode_class_counts(counts: ClassCounts, buckets: int) -> bytes:
    """The body that goes up: texts and tokens of each class, and the counts.

    Raises:
        WireError: there are more texts than can be told.
    """
    if counts.tokens.sum() >= 1 << 32 or counts.texts.max() > _LARGEST_COUNT:
        raise WireError("more texts than counts can hold: give clients fewer")
    head = np.concatenate([counts.texts, counts.tokens]).astype("<u4").tobytes()
    return head + encode_counts(counts.present[:, names(buckets)])


def decode_class_counts(body: bytes, classes: int, buckets: int) -> ClassCounts:
    """Read such a body; an empty one counts no text.

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
    if (found.present > texts[:, None]).any() or (tokens > texts * _LONGEST_TEXT).any():
        raise WireError("not believable: more texts with a word than texts")
    return ClassCounts(texts, tokens, found.present)


class SummedCounts(Estimate):
    """The sum of all counts that came up, and naive Bayes of it."""

    def __init__(self, classes: int, buckets: int) -> None:
        """Begin with no text."""
        self._classes, self._buckets = classes, buckets
        self._sum = ClassCounts.none(classes)

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`Estimate`."""
        part = decode_class_counts(body, self._classes, self._buckets)
        if body and part.texts.sum() != examples:
            raise WireError(f"not believable: counts of {part.texts.sum()} texts of {examples}")
        self._sum += part

    def finish_round(self) -> None:
        """See :class:`Estimate`: the sum is what it is."""

    def lexicon(self, most_bytes: int) -> Lexicon:
        """See :class:`Estimate`."""
        return lexicon_of_counts(self._sum, most_bytes, self._buckets)

    def save(self) -> bytes:
        """See :class:`Estimate`."""
        sums = (self._sum.texts, self._sum.tokens, self._sum.present[:, names(self._buckets)])
        return b"".join(part.astype("<i8").tobytes() for part in sums)

    def load(self, data: bytes) -> None:
        """See :class:`Estimate`."""
        classes, tokens = self._classes, names(self._buckets)
        if len(data) != 8 * classes * (2 + len(tokens)):
            raise WireError("the checkpoint is of other classes or buckets")
        numbers = np.frombuffer(data, "<i8").astype(np.int64)
        if (numbers < 0).any():
            raise WireError("the checkpoint has negative counts")
        found = ClassCounts.none(classes)
        found.present[:, tokens] = numbers[2 * classes :].reshape(classes, -1)
        self._sum = ClassCounts(numbers[:classes], numbers[classes : 2 * classes], found.present)

    def describe(self, body: bytes) -> str:
        """See :class:`Estimate`: how many texts were counted."""
        if len(body) < 8 * self._classes:
            return ""
        texts = struct.unpack_from(f"<{self._classes}I", body)
        return f"counts of {sum(texts):,} texts"

    def upload_estimate(self) -> int:
        """See :class:`Estimate`."""
        return int(self._classes * (8 + _ENTRY_BYTES * len(names(self._buckets)))) + 300
