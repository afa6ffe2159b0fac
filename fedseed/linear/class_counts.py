"""Counts of texts by class: whole numbers that add up over clients, and naive Bayes of their sums.

Sums of counts are the same however texts are divided among clients, so that skewed labels cost
nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.linear.buckets import shares_of_buckets, spread
from fedseed.linear.counts import Matrix
from fedseed.linear.lexicon import fit_bytes
from fedseed.linear.token_weights import ABSENT, TokenWeights
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, Lexicon

_SMOOTHING = 0.5
"""Texts that a class of mean size is taken to have had with a token, and without it, beside its
own; others in proportion to their texts, so that rare classes are not said to have every word."""
_DOUBT = 1.0
"""Squared standard errors of a weight that are taken for chance (of rare words: Poisson)."""
_EXPONENT = 0.25
"""Of a word's rarity: how much more a rare word's level weighs."""
_SURENESS = 3.5
"""Naive Bayes takes a text's words as independent; of n words about this many times the root are.

Chosen on training texts that were set aside: the slope of a logistic regression on the scores."""


@dataclass(frozen=True)
class ClassCounts:
    """How many texts of each class have each token."""

    texts: NDArray[np.int64]
    """Texts of each class, shape ``(classes,)``."""
    tokens: NDArray[np.int64]
    """All tokens of each class's texts, shape ``(classes,)``."""
    present: NDArray[np.int64]
    """Texts of each class that have a token, shape ``(classes, VOCABULARY)``."""
    noise: float = 0.0
    """Variance of what was added to each number for privacy: counts may then be negative."""

    @classmethod
    def of(cls, counts: Matrix, lengths: Rows, labels: Rows, classes: int) -> "ClassCounts":
        """Count labelled texts.

        Args:
            counts: of any unit; what is not 0 is present. Shape ``(texts, VOCABULARY)``.
            lengths: tokens of each text.
            labels: class numbers.
            classes: how many there are; some may not occur.
        """
        from scipy.sparse import csr_matrix

        every = np.arange(len(labels))
        ones = csr_matrix((np.ones(counts.nnz, np.int64), counts.indices, counts.indptr),
                          counts.shape)  # fmt: skip
        by_class = csr_matrix((np.ones(len(labels), np.int64), (labels, every)),
                              (classes, len(labels)))  # fmt: skip
        return cls(
            np.bincount(labels, minlength=classes),
            np.bincount(labels, weights=lengths, minlength=classes).astype(np.int64),
            np.asarray((by_class @ ones).toarray(), dtype=np.int64),
        )

    @classmethod
    def none(cls, classes: int) -> "ClassCounts":
        """Counts of no text."""
        nothing = np.zeros(classes, np.int64)
        return cls(nothing, nothing, np.zeros((classes, VOCABULARY), np.int64))

    def __add__(self, other: "ClassCounts") -> "ClassCounts":
        """Counts of both."""
        return ClassCounts(
            self.texts + other.texts, self.tokens + other.tokens, self.present + other.present,
            self.noise + other.noise,
        )  # fmt: skip

    def shares(self) -> NDArray[np.float64]:
        """About how much of a class's text each token is, shape ``(classes, VOCABULARY)``.

        From how many texts have a token, as if it stood in them at random (Poisson).
        """
        texts = np.maximum(1, self.texts)[:, None]
        rate = -np.log1p(-np.clip(self.present, 0, texts) / (texts + 1.0))
        return rate * texts / np.maximum(1, self.tokens)[:, None]

    def mean(self) -> NDArray[np.float64]:
        """The mean of the shares over the classes that occur, shape ``(VOCABULARY,)``."""
        occurs = self.texts > 0
        return np.asarray(self.shares()[occurs].sum(axis=0) / max(1, int(occurs.sum())))

    def model(self) -> TokenWeights:
        """Naive Bayes: by which factor a token is likelier in a class than in the others.

        Weights within a standard error of 0 are left out, others shrink (the positive part of the
        James-Stein estimator). Every class weighs alike, however many texts it has.
        """
        ratios = self._log_ratios() * self._scale()
        shares, mean = self.shares(), self.mean()
        if len(self.texts) == 2:
            return TokenWeights(ratios.T, -(ratios @ mean))
        biases = -((shares + mean) / 2 * ratios).sum(axis=1)
        return TokenWeights(ratios.T, np.where(self.texts > 0, biases, ABSENT))

    def _scale(self) -> float:
        length = self.tokens.sum() / max(1, int(self.texts.sum()))
        return float(min(length, _SURENESS * np.sqrt(length)))

    def _log_ratios(self) -> NDArray[np.float64]:
        """One row for each column of weights."""
        if np.count_nonzero(self.texts) < 2:
            return np.zeros((1 if len(self.texts) == 2 else len(self.texts), VOCABULARY))
        more = _SMOOTHING * np.maximum(self.texts, 1) * len(self.texts) / self.texts.sum()
        counted = np.maximum(self.present, 0) + more[:, None]
        likely = counted / (self.texts + 2 * more)[:, None]
        doubt = 1 / counted + self.noise / np.square(counted)
        if len(self.texts) == 2:
            return _shrunk(np.log(likely[1:]) - np.log(likely[:1]), doubt.sum(axis=0))
        occurs = self.texts > 0
        ratios = np.log(likely) - np.log(likely[occurs].mean(axis=0))
        counted = np.maximum(self.present.sum(axis=0), 0) + _SMOOTHING
        all_doubt = 1 / counted + len(self.texts) * self.noise / np.square(counted)
        seen = self.present.any(axis=0) & occurs[:, None]
        return _shrunk(np.where(seen, ratios, 0.0), doubt + all_doubt)


def _shrunk(ratios: NDArray[np.float64], doubt: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.square(ratios) / doubt
    kept: NDArray[np.float64] = ratios * np.maximum(0.0, 1 - _DOUBT / np.maximum(squares, 1e-12))
    return kept


def lexicon_of_counts(counts: ClassCounts, most_bytes: int, buckets: int = 0) -> Lexicon:
    """The largest lexicon that fits of naive Bayes.

    Args:
        counts: of texts; of buckets in the columns of the tokens that name them.
        most_bytes: longest code of the lexicon.
        buckets: how many; 0 for one a token.

    Raises:
        SeedError: none fits, or no token says anything.
    """
    model = counts.model()
    weights = spread(model.weights, buckets)
    mean = spread(counts.mean(), buckets) * shares_of_buckets(buckets)
    return fit_bytes(
        TokenWeights(weights, model.biases), most_bytes, np.sqrt(mean), mean, _EXPONENT
    )
