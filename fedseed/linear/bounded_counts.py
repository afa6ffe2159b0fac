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


def texts_within(
    counts: Matrix, lengths: Rows, labels: Rows, norm: float, rng: np.random.Generator
) -> Rows:
    """As many texts, in an order that is drawn, as keep the norm of all their numbers in bounds.

    Args:
        counts: shape ``(texts, VOCABULARY)``, of which words that stand there count 1.
        lengths: 0 or 1 for each text.
        labels: class numbers.
        norm: largest L2 norm of what :func:`to_numbers` gives.
        rng: draws the order.

    Returns:
        Numbers of the texts, ascending.
    """
    classes = int(labels.max(initial=0)) + 1
    present = np.zeros((classes, counts.shape[1]), np.int64)
    texts, long, square, kept = np.zeros(classes, np.int64), np.zeros(classes, np.int64), 0, 0
    order = rng.permutation(len(labels))
    for text in order:
        label = labels[text]
        words = counts.indices[counts.indptr[text] : counts.indptr[text + 1]]
        square += int((2 * present[label, words] + 1).sum()) + 2 * int(texts[label]) + 1
        square += int(lengths[text] * (2 * long[label] + 1))
        if square > norm * norm:
            break
        present[label, words] += 1
        texts[label] += 1
        long[label] += lengths[text]
        kept += 1
    return np.asarray(np.sort(order[:kept]), dtype=np.int64)


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
