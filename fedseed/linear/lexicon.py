"""A lexicon of labelled texts: which tokens, how many levels, for so many bytes.

Tokens are chosen by how far their weights move scores, and weights are fitted again to the chosen
ones before they are rounded. How many tokens and levels make the best lexicon that fits is tried
on texts that are set aside; the result is made of all texts.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import SeedError
from fedseed.linear.counts import Matrix, mean_counts
from fedseed.linear.selection import FEWER, LabelledCounts, Selection
from fedseed.linear.token_weights import TokenWeights, by_importance
from fedseed.seeds.kinds.lexicon import MOST_LEVELS, LexiconOptions
from fedseed.seeds.kinds.lexicon.coding import encode_lexicon
from fedseed.seeds.kinds.lexicon.format import OVERHEAD
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, Lexicon, rarity

_LEVELS = (1, 2, 3, 4, 6, 10)
_EXPONENTS = (0.25, 0.5)
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Quantiles of a weight at which the largest level may lie."""
_GIVEN_LEVELS = 6
"""Levels of weights that are given."""
_TRIES = 6
"""Of how many tokens fit."""
_SET_ASIDE = 4
"""One text in so many is set aside to choose by."""


def quantise(
    model: TokenWeights, tokens: Rows, levels: int, exponent: float,
    deviations: NDArray[np.float64], counts: Matrix | None = None,
) -> Lexicon:  # fmt: skip
    """Round the weights of some tokens to whole levels.

    Args:
        model: has the weights.
        tokens: ids in ascending order.
        levels: largest level, 1 to 127.
        exponent: see :class:`Lexicon`.
        deviations: of every token's counts, by which an error of its weight moves scores.
        counts: of texts on which the mean score shall stay what it was.

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
    if counts is None:
        return lexicon
    missed = model.weights.copy()
    missed[lexicon.tokens] -= lexicon.columns_of_weights()
    biases = model.biases + np.asarray(counts.mean(axis=0)).reshape(-1) @ missed
    return Lexicon(lexicon.tokens, lexicon.levels, step, exponent, biases)


def as_model(lexicon: Lexicon) -> TokenWeights:
    """The linear model that a lexicon is."""
    weights = np.zeros((VOCABULARY, lexicon.columns))
    weights[lexicon.tokens] = lexicon.columns_of_weights()
    return TokenWeights(weights, lexicon.biases)


def extract_lexicon(
    texts: LabelledCounts, most_bytes: int, words: int | None = None, levels: int | None = None
) -> Lexicon:
    """The best lexicon that fits.

    Args:
        texts: what it is made of.
        most_bytes: longest code of the lexicon, see :func:`encode_lexicon`.
        words: tokens in it; tried out when None.
        levels: largest level; tried out when None.

    Raises:
        SeedError: none fits, or no token says anything about the classes.
    """
    number = len(texts.labels)
    if number < _SET_ASIDE or len(np.unique(texts.labels)) < 2 or not texts.counts.nnz:
        raise SeedError("the texts say nothing about the classes: give more of each class")
    aside = np.arange(number) % _SET_ASIDE == _mixed(number)
    learnt, judged = texts.part(np.flatnonzero(~aside)), texts.part(np.flatnonzero(aside))
    selection = Selection(learnt)
    found: list[tuple[float, int, float]] = []
    for most, exponent in _settings(levels):
        lexicon = _largest(learnt, selection, most_bytes, words, most, exponent)
        if lexicon is not None:
            right = as_model(lexicon).answers(judged.counts) == judged.labels
            found.append((float(right.mean()), most, exponent))
    if found:
        _, most, exponent = max(found)
        lexicon = _largest(texts, Selection(texts), most_bytes, words, most, exponent)
        if lexicon is not None:
            return lexicon
    raise SeedError(f"no lexicon of these texts has {most_bytes} bytes: give more")


def shortest_code(columns: int) -> int:
    """Bytes within which a lexicon of some words of given weights surely fits."""
    return 8 + columns + 2 * _GIVEN_LEVELS + 1 + max(16, columns)


def fit_bytes(model: TokenWeights, most_bytes: int) -> Lexicon:
    """The largest lexicon of given weights that fits, without texts to fit them to.

    How often tokens stand is taken from their rarity.

    Args:
        model: has the weights.
        most_bytes: longest code of the lexicon.

    Raises:
        SeedError: none fits, or no token has a weight.
    """
    order = by_importance(np.abs(model.weights).max(axis=1) / rarity(0.5))
    low, high, best = 0, len(order), None
    while low < high:
        middle = (low + high + 1) // 2
        lexicon = quantise(model, np.sort(order[:middle]), _GIVEN_LEVELS, 0.5, 1 / rarity(0.75))
        if len(encode_lexicon(lexicon)) <= most_bytes:
            low, best = middle, lexicon
        else:
            high = middle - 1
    if best is None:
        raise SeedError(f"no lexicon of these weights has {most_bytes} bytes: give more")
    return best


def lexicon_of(dataset: Dataset, max_length: int, options: LexiconOptions) -> Lexicon:
    """The best lexicon of a data set's training texts.

    Args:
        dataset: a tokenised data set; its test texts are not looked at.
        max_length: tokens of a text that count, special tokens included.
        options: how large the seed may be, with everything around the lexicon.

    Raises:
        SeedError: see :func:`extract_lexicon`.
    """
    rows = dataset.train
    counts = mean_counts(dataset.table, rows, max_length)
    texts = LabelledCounts(counts, dataset.table.labels[rows], dataset.labels)
    return extract_lexicon(texts, options.max_bytes - OVERHEAD, options.words, options.levels)


def _mixed(number: int) -> NDArray[np.int64]:
    """A remainder for each text that differs from block to block, so that no order is hit."""
    return np.arange(number) // _SET_ASIDE % _SET_ASIDE


def _settings(levels: int | None) -> Iterator[tuple[int, float]]:
    for most in _LEVELS if levels is None else (min(levels, MOST_LEVELS),):
        for exponent in _EXPONENTS:
            yield most, exponent


def _largest(
    texts: LabelledCounts, selection: Selection, most_bytes: int, words: int | None, levels: int,
    exponent: float,
) -> Lexicon | None:  # fmt: skip
    """The lexicon of most words that fits, its weights fitted again; None if none does."""
    count = words or _fitting(selection, most_bytes, levels, exponent)
    found: Lexicon | None = None
    for _ in range(_TRIES):
        if count < 1:
            break
        tokens, _ = selection.best(count)
        model = texts.fit(tokens, FEWER)
        try:
            lexicon = quantise(model, tokens, levels, exponent, selection.deviations, texts.counts)
        except SeedError:
            break
        size = len(encode_lexicon(lexicon))
        if size <= most_bytes:
            found = lexicon
            if words or size > 0.97 * most_bytes or count >= selection.most:
                break
        elif found:
            break
        count = min(selection.most, int(count * 0.99 * most_bytes / size))
    return found


def _fitting(selection: Selection, most_bytes: int, levels: int, exponent: float) -> int:
    """How many tokens fit, about, by the weights before they are fitted again."""
    low, high = 0, selection.most
    while high - low > max(1, low // 50):
        middle = (low + high + 1) // 2
        tokens, model = selection.best(middle)
        lexicon = quantise(model, tokens, levels, exponent, selection.deviations)
        fits = len(encode_lexicon(lexicon)) <= most_bytes
        low, high = (middle, high) if fits else (low, middle - 1)
    return high if high - low <= 1 else low
