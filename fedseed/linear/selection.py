"""Which tokens are worth their bytes: the least important half is left out, again and again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.linear.counts import Matrix
from fedseed.linear.token_weights import PENALTY, TokenWeights, by_importance, fit_weights

FEWER = PENALTY / 25
"""Penalty of weights that are fitted to chosen tokens."""
_FIRST, _LAST = 16_384, 64
_KEPT = 4
"""Fitted models of the last numbers of words."""


@dataclass(frozen=True)
class LabelledCounts:
    """Texts as a linear model learns from them."""

    counts: Matrix
    """Shape ``(texts, VOCABULARY)``, see :func:`fedseed.linear.counts.mean_counts`."""
    labels: Rows
    classes: int

    def part(self, rows: Rows) -> "LabelledCounts":
        """Some of the texts."""
        return LabelledCounts(self.counts[rows], self.labels[rows], self.classes)

    def fit(
        self, tokens: Rows | None = None, penalty: float = PENALTY, balanced: bool = False
    ) -> TokenWeights:
        """See :func:`fedseed.linear.token_weights.fit_weights`."""
        return fit_weights(self.counts, self.labels, self.classes, tokens, penalty, balanced)

    def mean(self, balanced: bool = False) -> NDArray[np.float64]:
        """Mean counts of each token, shape ``(VOCABULARY,)``.

        Args:
            balanced: the mean of the means of the classes that occur.
        """
        parts = [self.counts]
        if balanced:
            parts = [self.counts[self.labels == one] for one in np.unique(self.labels)]
        means = [np.asarray(part.mean(axis=0), dtype=np.float64).reshape(-1) for part in parts]
        return np.asarray(np.mean(means, axis=0))

    def deviations(self) -> NDArray[np.float64]:
        """How far each token's counts deviate from their mean, shape ``(VOCABULARY,)``."""
        mean = np.asarray(self.counts.mean(axis=0), dtype=np.float64).reshape(-1)
        squares = np.asarray(self.counts.multiply(self.counts).mean(axis=0), dtype=np.float64)
        spread: NDArray[np.float64] = np.sqrt(np.maximum(squares.reshape(-1) - mean**2, 0))
        return spread


class Selection:
    """Tokens by importance: how far a token's weight moves scores among the tokens that are left.

    Recursive feature elimination (Guyon et al. 2002), by halves.
    """

    def __init__(self, texts: LabelledCounts) -> None:
        """Fit a model to all tokens, to half of them, and so on."""
        self.deviations, self._texts = texts.deviations(), texts
        self._fitted: dict[int, tuple[Rows, TokenWeights]] = {}
        model = texts.fit()
        self._stages = [(self._in_order(model), model)]
        size = _FIRST
        while size >= _LAST:
            if size < len(self._stages[-1][0]):
                model = texts.fit(np.sort(self._stages[-1][0][:size]), FEWER)
                self._stages.append((self._in_order(model), model))
            size //= 2

    def _in_order(self, model: TokenWeights) -> Rows:
        """Tokens that have weights, the most important first."""
        return by_importance(np.abs(model.weights).max(axis=1) * self.deviations)

    @property
    def most(self) -> int:
        """Number of tokens that say anything."""
        return len(self._stages[0][0])

    def best(self, words: int) -> tuple[Rows, TokenWeights]:
        """The most important tokens in ascending order, and a model of these or a few more."""
        order, model = next(s for s in reversed(self._stages) if len(s[0]) >= min(words, self.most))
        return np.sort(order[:words]), model

    def fitted(self, words: int) -> tuple[Rows, TokenWeights]:
        """The most important tokens in ascending order, and a model fitted to these alone.

        The last few are kept: the same numbers of words are asked for with other levels.
        """
        if words not in self._fitted:
            tokens, _ = self.best(words)
            self._fitted[words] = tokens, self._texts.fit(tokens, FEWER)
            if len(self._fitted) > _KEPT:
                del self._fitted[next(iter(self._fitted))]
        return self._fitted[words]
