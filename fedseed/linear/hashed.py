"""Linear models of hashed tokens: what so many bytes hold without a choice of words.

Tokens fall into buckets by a fixed permutation of the vocabulary; a bucket's weight is rounded to
whole levels. Bytes are the entropy of the levels, which no code undercuts and a good one reaches,
and four bytes for scale and bias of each column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.linear.counts import Matrix
from fedseed.linear.selection import LabelledCounts
from fedseed.randomness import generator
from fedseed.seeds.kinds.lexicon.words import VOCABULARY

Estimate = Literal["logistic", "counts"]
"""How weights are found: logistic regression, or counts by class (naive Bayes)."""
_POWERS = range(6, 16)
_LEVELS = (1, 2, 3)
_SIDE_BYTES = 4
_SMOOTHING = 1.0
"""Texts that each class is taken to have had with every bucket, beside its own."""
_STRENGTH = 3.0
"""scikit-learn's C, on rows of length 1."""


@dataclass(frozen=True)
class HashedModel:
    """Weights of buckets, in whole levels."""

    places: NDArray[np.int64]
    """The bucket of every token."""
    weights: NDArray[np.float64]
    """Shape ``(buckets, classes)``."""
    biases: NDArray[np.float64]
    bytes: float
    """Entropy of the levels, and what stands beside them."""

    def answers(self, counts: Matrix) -> Rows:
        """The class that each text has by its scores."""
        scores = _features(counts, self.places, len(self.weights)) @ self.weights + self.biases
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def hashed_models(texts: LabelledCounts, estimate: Estimate) -> Iterator[HashedModel]:
    """Models of 64 to 32,768 buckets, each at several numbers of levels.

    Args:
        texts: what they learn from.
        estimate: how weights are found.
    """
    for power in _POWERS:
        buckets = 1 << power
        places = generator(0, f"buckets/{power}").integers(0, buckets, VOCABULARY)
        features = _features(texts.counts, places, buckets)
        fit = _logistic if estimate == "logistic" else _bayes
        weights, biases = fit(features, texts.labels, texts.classes)
        for levels in _LEVELS:
            yield _rounded(places, weights, biases, levels, features)


def _features(counts: Matrix, places: NDArray[np.int64], buckets: int) -> Matrix:
    """Which buckets each text has, rows scaled to length 1."""
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    every = np.arange(len(places))
    hashed = counts @ csr_matrix((np.ones(len(places)), (every, places)), (len(places), buckets))
    hashed.data[:] = 1.0
    return normalize(hashed)


def _logistic(
    features: Matrix, labels: Rows, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # see token_weights
        model = LogisticRegression(C=_STRENGTH, max_iter=300).fit(features, labels)
    weights, biases = np.zeros((features.shape[1], classes)), np.full(classes, -1e3)
    found, bias = model.coef_.T, model.intercept_
    if found.shape[1] == 1:  # one column for the difference of two
        found, bias = found * [-0.5, 0.5], bias * [-0.5, 0.5]
    weights[:, model.classes_], biases[model.classes_] = found, bias
    return weights, biases


def _bayes(
    features: Matrix, labels: Rows, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bernoulli naive Bayes: the logarithm of how much likelier a bucket is in each class."""
    present = features.copy()
    present.data[:] = 1.0
    sizes = np.bincount(labels, minlength=classes)
    sums = np.stack(
        [np.asarray(present[labels == one].sum(axis=0)).reshape(-1) for one in range(classes)]
    )
    share = (sums + _SMOOTHING) / (sizes + 2 * _SMOOTHING)[:, None]
    odds = np.log(share) - np.log1p(-share)
    weights = (odds - odds.mean(axis=0)).T
    scores = features @ weights
    means = np.stack([scores[labels == one].mean(axis=0) if sizes[one] else scores.mean(axis=0)
                      for one in range(classes)])  # fmt: skip
    return weights, -means.mean(axis=0)


def _rounded(
    places: NDArray[np.int64], weights: NDArray[np.float64], biases: NDArray[np.float64],
    levels: int, features: Matrix,
) -> HashedModel:  # fmt: skip
    """Weights in whole levels; the mean score over the texts stays what it was."""
    from scipy.stats import entropy

    columns = weights[:, 1:] - weights[:, :1] if weights.shape[1] == 2 else weights
    step = np.quantile(np.abs(columns), 0.9) / levels or 1.0
    symbols = np.clip(np.rint(columns / step), -levels, levels).astype(np.int64)
    rounded = symbols * step
    if weights.shape[1] == 2:
        rounded = np.concatenate([-rounded / 2, rounded / 2], axis=1)
    mean = np.asarray(features.mean(axis=0)).reshape(-1)
    bits = symbols.size * entropy(np.bincount((symbols + levels).ravel()), base=2)
    side = _SIDE_BYTES * symbols.shape[1]
    return HashedModel(places, rounded, biases + mean @ (weights - rounded), bits / 8 + side)
