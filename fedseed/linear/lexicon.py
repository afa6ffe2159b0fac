"""A lexicon and the linear model that it is: rounding weights to levels, and back."""

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.errors import SeedError
from fedseed.linear.token_weights import TokenWeights, by_importance
from fedseed.seeds.kinds.lexicon.coding import encode_lexicon
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, Lexicon, rarity

_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Quantiles of a weight at which the largest level may lie."""
_GIVEN_LEVELS = 6
"""Levels of weights that are given."""


def quantise(
    model: TokenWeights, tokens: Rows, levels: int, exponent: float,
    deviations: NDArray[np.float64], mean: NDArray[np.float64] | None = None,
) -> Lexicon:  # fmt: skip
    """Round the weights of some tokens to whole levels.

    Args:
        model: has the weights.
        tokens: ids in ascending order.
        levels: largest level, 1 to 127.
        exponent: see :class:`Lexicon`.
        deviations: of every token's counts, by which an error of its weight moves scores.
        mean: counts at which the score shall stay what it was, such as the mean of all texts.

    Raises:
        SeedError: no weight is left.
    """
    relative = model.weights[tokens] / rarity(exponent)[tokens][:, None]
    sizes = np.abs(relative[relative != 0])
    if not len(sizes):
        raise SeedError("no token says anything about the classes: give more texts")
    moved = (rarity(exponent) * deviations)[tokens][:, None] ** 2
    best: tuple[float, NDArray[np.int32], float] | None = None
    for share in _SHARES:
        step = float(np.float16(np.quantile(sizes, share) / levels))
        if step <= 0:
            continue
        rounded = np.clip(np.rint(relative / step), -levels, levels).astype(np.int32)
        error = float((np.square(relative - rounded * step) * moved).sum())
        if rounded.any() and (best is None or error < best[0]):
            best = error, rounded, step
    if best is None:
        raise SeedError("the weights are too small for a lexicon: give more texts")
    _, rounded, step = best
    kept = rounded.any(axis=1)
    lexicon = Lexicon(tokens[kept], rounded[kept], step, exponent, model.biases)
    if mean is None:
        return lexicon
    missed = model.weights.copy()
    missed[lexicon.tokens] -= lexicon.columns_of_weights()
    biases = model.biases + mean @ missed
    return Lexicon(lexicon.tokens, lexicon.levels, step, exponent, biases)


def as_model(lexicon: Lexicon) -> TokenWeights:
    """The linear model that a lexicon is."""
    weights = np.zeros((VOCABULARY, lexicon.columns))
    weights[lexicon.tokens] = lexicon.columns_of_weights()
    return TokenWeights(weights, lexicon.biases)


def shortest_code(columns: int) -> int:
    """Bytes within which a lexicon of some words of given weights surely fits."""
    return 8 + columns + 2 * _GIVEN_LEVELS + 1 + max(16, columns)


def fit_bytes(
    model: TokenWeights, most_bytes: int, deviations: NDArray[np.float64] | None = None,
    mean: NDArray[np.float64] | None = None, exponent: float = 0.5,
) -> Lexicon:  # fmt: skip
    """The largest lexicon of given weights that fits, without texts to fit them to.

    Args:
        model: has the weights.
        most_bytes: longest code of the lexicon.
        deviations: of every token's counts; taken from the tokens' rarity when None.
        mean: see :func:`quantise`.
        exponent: see :class:`Lexicon`.

    Raises:
        SeedError: none fits, or no token has a weight.
    """
    sizes = np.abs(model.weights).max(axis=1)
    if deviations is None:
        deviations, order = 1 / rarity(0.75), by_importance(sizes / rarity(0.5))
    else:
        order = by_importance(sizes * deviations)
    low, high, best = 0, len(order), None
    while low < high:
        middle = (low + high + 1) // 2
        tokens = np.sort(order[:middle])
        lexicon = quantise(model, tokens, _GIVEN_LEVELS, exponent, deviations, mean)
        if len(encode_lexicon(lexicon)) <= most_bytes:
            low, best = middle, lexicon
        else:
            high = middle - 1
    if best is None:
        raise SeedError(f"no lexicon of these weights has {most_bytes} bytes: give more")
    return best
