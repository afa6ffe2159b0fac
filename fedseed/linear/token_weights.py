"""Weights of tokens by logistic regression, or by counts alone (naive Bayes)."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.linear.counts import Matrix
from fedseed.seeds.kinds.lexicon.words import columns_of, rarity

PENALTY = 3e-5
"""Of the squared scaled weights; chosen on training texts that were set aside."""
_ITERATIONS = 200


@dataclass(frozen=True)
class TokenWeights:
    """A linear model: a text's scores are its counts times the weights, plus the biases."""

    weights: NDArray[np.float64]
    """Shape ``(VOCABULARY, columns)``; one column for two classes."""
    biases: NDArray[np.float64]
    """One for each column."""

    def scores(self, counts: Matrix) -> NDArray[np.float64]:
        """Scores of texts, shape ``(texts, columns)``."""
        out: NDArray[np.float64] = counts @ self.weights + self.biases
        return out

    def answers(self, counts: Matrix) -> Rows:
        """The class that each text has by its scores."""
        scores = self.scores(counts)
        best = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
        return np.asarray(best, dtype=np.int64)


def by_importance(importance: NDArray[np.float64]) -> Rows:
    """Tokens that have any importance, the most important first.

    Args:
        importance: of every token, not negative, shape ``(VOCABULARY,)``.
    """
    order = np.argsort(-importance, kind="stable")
    return order[: np.count_nonzero(importance)]


def fit_weights(
    counts: Matrix, labels: Rows, classes: int, tokens: Rows | None = None,
    penalty: float = PENALTY, balanced: bool = False,
) -> TokenWeights:  # fmt: skip
    """Logistic regression, penalised less for rare tokens.

    A weight's penalty is in proportion to one over the token's rarity: rare tokens deviate little,
    and say much where they stand.

    Args:
        counts: of the texts, see :func:`fedseed.linear.counts.mean_counts`.
        labels: class numbers of the texts; some classes may not occur.
        classes: number of classes.
        tokens: those that may have weights; all of them when None.
        penalty: strength of the penalty.
        balanced: let every class that occurs weigh alike, however many texts it has.
    """
    present = np.flatnonzero(np.asarray(counts.getnnz(axis=0)))
    tokens = present if tokens is None else np.intersect1d(present, tokens)
    weights = np.zeros((counts.shape[1], columns_of(classes)))
    seen = np.unique(labels)
    if len(seen) < 2 or not len(tokens):
        return TokenWeights(weights, _only(seen, classes))
    scale = rarity(0.5)[tokens]
    features = counts[:, tokens].multiply(scale).tocsr()
    fitted, biases = _logistic(features, labels, penalty, balanced)
    scaled = fitted * scale[:, None]
    if classes == 2:
        weights[tokens], biases = scaled, biases
        return TokenWeights(weights, biases)
    all_biases = np.full(classes, ABSENT)
    if len(seen) == 2:  # one column for their difference
        scaled, biases = scaled * np.array([-0.5, 0.5]), biases * np.array([-0.5, 0.5])
    weights[np.ix_(tokens, seen)] = scaled
    all_biases[seen] = biases
    return TokenWeights(weights, all_biases)


ABSENT = -10.0
"""Bias of a class that no text had."""


def _only(seen: Rows, classes: int) -> NDArray[np.float64]:
    """Biases that always answer the one class that was seen."""
    if classes == 2:
        return np.array([-ABSENT if 1 in seen else ABSENT])
    return np.where(np.isin(np.arange(classes), seen), 0.0, ABSENT)


def _logistic(
    features: Matrix, labels: Rows, penalty: float, balanced: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of shape ``(features, columns)`` and biases."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    strength = 1 / (penalty * len(labels))
    weighing = "balanced" if balanced else None
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-4, class_weight=weighing)
    # One thread: sums in another order would end in other words.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # near the optimum is near enough
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model.fit(features, labels)
    return model.coef_.T, model.intercept_
