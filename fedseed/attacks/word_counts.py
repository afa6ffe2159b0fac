"""Attacks on counts of words: which words somebody's texts hold, and whether a text is among them.

A contribution of counts says, for every word and class, how many of a client's texts have the word.
Without noise a word that nobody counted clears every text that has it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats
from fedseed.attacks.tokens.vocabulary import suspicious_rows
from fedseed.coding.vectors import Words
from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.linear.counts import Matrix, mean_counts
from fedseed.linear.seen_counts import SeenCounts

_CLEARED = -25.0
"""Log likelihood ratio of a word that nobody counted; about that of 1e11 to 1."""
_SMOOTHING = 0.5
"""Texts that every word is taken to have had in the attacker's own, beside those it had."""


def named_words(seen: SeenCounts) -> NDArray[np.int64]:
    """Words that are said to occur, ascending: any count above 0, or beyond noise."""
    if not seen.noise:
        return np.sort(seen.tokens[seen.counts.any(axis=0)])
    scores = seen.counts.sum(axis=0) / (seen.noise * np.sqrt(len(seen.counts)))
    return np.sort(seen.tokens[suspicious_rows(scores)])


class Reading(Protocol):
    """How a protocol whose contributions name words reads them.

    ``Protocol.words`` names a function from a :class:`~fedseed.protocols.base.Setup` to one of
    these.
    """

    def named(self, payload: bytes) -> NDArray[np.int64]:
        """Words that a contribution names, where it holds no counts; ids, ascending."""

    def counts(self, payload: bytes) -> SeenCounts | None:
        """Counts of a contribution; None where it holds none."""

    def most_telling(self, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Words of a text that changes as much as any may, and no word's count but its own.

        Args:
            most: words that a text has room for.
            rng: chooses them.
        """

    def of_sum(self, total: Words, clients: int) -> SeenCounts:
        """Counts of the sum of some clients' contributions, under secure aggregation."""


@dataclass(frozen=True)
class Known:
    """Texts that an attacker knows, of whom it does not know whose they are."""

    present: Matrix
    """Which words they have, shape ``(texts, VOCABULARY)``."""
    labels: NDArray[np.int64]
    """Their classes."""

    @classmethod
    def of(cls, table: TokenTable, rows: Rows, max_length: int) -> "Known":
        """Some rows of a table, as far as a model sees them."""
        present = mean_counts(table, rows, max_length)
        present.data[:] = 1
        return cls(present, np.asarray(table.labels[rows]))


def count_signals(seen: SeenCounts, known: Known) -> Floats:
    """How likely counts make it that they hold each text: log likelihood ratios, in nats.

    For each word of a text, counts with it against counts without it: Poisson numbers around the
    share of the known texts of its class that have the word, and Gaussian ones under noise.

    Args:
        seen: counts of a client, or of a sum of clients.
        known: texts that are judged, whose shares of words stand for everybody's.

    Returns:
        Shape ``(texts,)``.
    """
    scores = np.zeros(len(known.labels))
    for label in range(len(seen.counts)):
        here = np.flatnonzero(known.labels == label)
        if len(here):
            present = known.present[here][:, seen.tokens]
            had = np.asarray(present.sum(axis=0)).ravel()
            share = (had + _SMOOTHING) / (len(here) + 2 * _SMOOTHING)
            scores[here] = present @ _ratios(seen, label, share)
    return scores


def _ratios(seen: SeenCounts, label: int, share: Floats) -> Floats:
    """What each word of a text says for it, shape ``(words,)``."""
    expected = share * max(1, int(seen.texts[label]))
    counts = seen.counts[label].astype(np.float64)
    if seen.noise:
        return np.asarray((counts - expected - 0.5) / (expected + seen.noise**2), np.float64)
    told = np.log(np.maximum(counts, 1e-300) / expected)
    return np.where(counts > 0, told, _CLEARED)
