"""Lexicon: weighted tokens of a model's vocabulary, in whole levels.

A text's score for a class is the mean over all its tokens, [CLS] and [SEP] included, of the
class's token weights, plus the class's bias. It is a linear model of a bag of words, and its scores
are logits. With two classes one column of weights stands for their difference.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.models.architecture import Floats

VOCABULARY = 30_522
"""Tokens of bert-base-uncased, whose ids are about in the order of their frequency."""
_SIGNS, _LETTERS, _WORDS = 999, 1064, 1996
"""Ids where punctuation and ASCII letters, other letters, and words begin; none are below."""
_FREQUENT = 50.0
EXPONENTS = (0.0, 0.25, 0.5, 0.75)


@functools.cache
def frequency_order() -> NDArray[np.int64]:
    """Ids that may be weighted, about the most frequent first, shape ``(tokens,)``."""
    parts = ((_SIGNS, _LETTERS), (_WORDS, VOCABULARY), (_LETTERS, _WORDS))
    return np.concatenate([np.arange(start, end) for start, end in parts])


@functools.cache
def _rarity() -> NDArray[np.float64]:
    rarity = np.ones(VOCABULARY)
    order = frequency_order()
    rarity[order] = (np.arange(len(order)) + _FREQUENT) / _FREQUENT
    return rarity


def rarity(exponent: float = 1.0) -> NDArray[np.float64]:
    """How rare every token is about: 1 for the most frequent, shape ``(VOCABULARY,)``.

    Args:
        exponent: its power, one of :data:`EXPONENTS` or 1; by square roots, which are the same on
            every machine.
    """
    root = np.sqrt(_rarity())
    fourth = np.sqrt(root)
    powers = (np.ones(VOCABULARY), fourth, root, root * fourth, _rarity())
    return powers[round(exponent * 4)]


def columns_of(classes: int) -> int:
    """Columns of weights: one for each class, or one for the difference of two."""
    return 1 if classes == 2 else classes


@dataclass(frozen=True)
class Lexicon:
    """Weighted tokens. Weight = level x (rarity to the exponent x step)."""

    tokens: NDArray[np.int64]
    """Ids in ascending order, shape ``(words,)``."""
    levels: NDArray[np.int32]
    """Whole numbers within +-127, shape ``(words, columns)``; no row is all zero."""
    step: float
    exponent: float
    """One of :data:`EXPONENTS`: the larger, the more a rare token's level weighs."""
    biases: NDArray[np.float64]
    """One for each column."""

    @property
    def columns(self) -> int:
        """One for two classes, else the number of classes."""
        return int(self.levels.shape[1])

    def columns_of_weights(self) -> NDArray[np.float64]:
        """Weights of the tokens that have some, shape ``(words, columns)``."""
        return self._scaled(self.levels)

    def _scaled(self, levels: NDArray[np.int32]) -> NDArray[np.float64]:
        scale = rarity(self.exponent)[self.tokens] * self.step
        weights: NDArray[np.float64] = levels * scale[:, None]
        return weights

    def weights(self) -> Floats:
        """Weights of every token for every class, which add up to 0: shape ``(VOCABULARY, n)``.

        The classes' mean is taken off in whole numbers, so that levels that are all alike leave
        nothing.
        """
        count = self.columns
        dense = np.zeros((VOCABULARY, max(2, count)))
        if count == 1:
            dense[self.tokens] = by_class(self.columns_of_weights())
        else:
            total = self.levels.sum(axis=1, keepdims=True)
            dense[self.tokens] = self._scaled(self.levels * count - total) / count
        return np.asarray(dense, dtype=np.float32)

    def class_biases(self) -> Floats:
        """The bias of every class; they add up to 0."""
        return np.asarray(by_class(self.biases[None])[0], dtype=np.float32)


def by_class(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers for every class that add up to 0, of those for every column, shape ``(n, columns)``.

    Every sum is in the order of the columns, so that it is the same on every machine.
    """
    if columns.shape[1] == 1:
        return np.concatenate([columns * -0.5, columns * 0.5], axis=1)
    total = np.zeros(len(columns))
    for column in columns.T:
        total = total + column
    centred: NDArray[np.float64] = columns - (total / columns.shape[1])[:, None]
    return centred
