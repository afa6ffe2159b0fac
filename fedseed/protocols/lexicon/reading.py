"""Payloads of ``lexicon`` as an attacker reads them: which words, and how many texts have each."""

import math

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.vectors import Words
from fedseed.linear.bounded_counts import to_numbers
from fedseed.linear.buckets import names
from fedseed.linear.seen_counts import SeenCounts
from fedseed.protocols.base import Setup
from fedseed.protocols.lexicon import LexiconOptions
from fedseed.protocols.lexicon.counts import decode_class_counts
from fedseed.protocols.lexicon.messages import decode_words
from fedseed.protocols.lexicon.noisy_counts import decode_noisy_counts
from fedseed.protocols.shared_model import HEAD_BYTES, SUM_HEAD

_HEAD_NUMBERS = 2
"""Numbers of each class before the counts: its texts, and their lengths."""


class LexiconReading:
    """Reads what comes up in one run; see :class:`fedseed.attacks.word_counts.Reading`."""

    def __init__(self, setup: Setup) -> None:
        """Read the messages of a run.

        Args:
            setup: what is public.
        """
        options = setup.options
        assert isinstance(options, LexiconOptions)
        self._options, self._classes = options, setup.classes
        self._length = setup.recipe.max_length
        self._noise = 0.0 if setup.defence is None else setup.defence.own_noise
        self._tokens = names(options.buckets)[options.left_out(setup.defence is not None) :]

    def named(self, payload: bytes) -> NDArray[np.int64]:
        """Words that have a weight in a contribution, ascending."""
        model = decode_words(payload[HEAD_BYTES:], self._classes)
        return np.flatnonzero(model.weights.any(axis=1))

    def counts(self, payload: bytes) -> SeenCounts | None:
        """Counts of one contribution; None where weights travel."""
        if self._options.estimate != "counts":
            return None
        body = payload[HEAD_BYTES:]
        if self._noise:
            numbers = decode_noisy_counts(body, self._classes, self._options.buckets)
            return self._seen(numbers, self._noise)
        counted = decode_class_counts(body, self._classes, self._options.buckets, self._length)
        return self._seen(to_numbers(counted, names(self._options.buckets)), 0.0)

    def most_telling(self, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """As many words of a bucket of their own as one text may tell."""
        options = self._options
        shared = options.buckets - options.buckets // 2
        alone = self._tokens[: len(self._tokens) - shared]
        return np.sort(rng.choice(alone, min(most, options.words_per_text), replace=False))

    def of_sum(self, total: Words, clients: int) -> SeenCounts:
        """Counts of a sum, of which every client added its share of the noise."""
        numbers = total[SUM_HEAD:].view(np.int32).astype(np.int64)
        return self._seen(numbers, self._noise * math.sqrt(clients))

    def _seen(self, numbers: NDArray[np.int64], noise: float) -> SeenCounts:
        classes, all_tokens = self._classes, names(self._options.buckets)
        by_class = numbers[_HEAD_NUMBERS * classes :].reshape(classes, -1)
        kept = by_class[:, len(all_tokens) - len(self._tokens) :]
        return SeenCounts(self._tokens, kept, numbers[:classes], noise)
