"""Counts of texts by class of which one text changes few: what differential privacy needs."""

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.linear.class_counts import ClassCounts
from fedseed.linear.counts import Matrix

BESIDE_WORDS = 2
"""Numbers that a text changes beside those of its words: its class's texts, and their length."""


def bounded(counts: Matrix, order: Rows, leave_out: int, most: int) -> Matrix:
    """What of some counts may be told: of each text its rarest words, at most so many.

    How rare a word is comes from a public order, so that a text's words depend on no other text.

    Args:
        counts: shape ``(texts, VOCABULARY)``.
        order: tokens that may count, the most frequent first.
        leave_out: the most frequent ones, which do not count.
        most: words of one text.
    """
    from scipy.sparse import csr_matrix

    ranks = np.full(counts.shape[1], -1)
    ranks[order] = np.arange(len(order))
    rank = ranks[counts.indices]
    text = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    kept = np.flatnonzero(rank >= leave_out)
    by_text = kept[np.lexsort((-rank[kept], text[kept]))]
    starts = np.searchsorted(text[by_text], np.arange(counts.shape[0]))
    chosen = by_text[np.arange(len(by_text)) - starts[text[by_text]] < most]
    shape = counts.shape
    return csr_matrix((counts.data[chosen], (text[chosen], counts.indices[chosen])), shape)


def round_lengths(lengths: Rows, longest: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """1 or 0 for each text, 1 with the probability that its length is of the longest."""
    return np.asarray(rng.random(len(lengths)) * longest < lengths, dtype=np.int64)


def to_numbers(counts: ClassCounts, tokens: Rows) -> NDArray[np.int64]:
    """Texts, lengths and counts of some tokens in one vector, shape ``(classes * (2 + n),)``."""
    return np.concatenate([counts.texts, counts.tokens, counts.present[:, tokens].ravel()])


def from_numbers(
    numbers: NDArray[np.int64], classes: int, tokens: Rows, noise: float = 0.0
) -> ClassCounts:
    """Read what :func:`to_numbers` wrote.

    Args:
        numbers: the vector, or a sum of such.
        classes: how many there are.
        tokens: as there.
        noise: variance of what was added to each number.
    """
    found = ClassCounts.none(classes)
    found.present[:, tokens] = numbers[2 * classes :].reshape(classes, -1)
    return ClassCounts(numbers[:classes], numbers[classes : 2 * classes], found.present, noise)
