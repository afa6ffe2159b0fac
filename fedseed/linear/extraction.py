"""A lexicon of labelled texts: which tokens, how many levels, for so many bytes.

Tokens are chosen by how far their weights move scores, and weights are fitted again to the chosen
ones before they are rounded. How many tokens and levels make the best lexicon that fits is tried
on texts that are set aside, by the loss of its scores at their best scale, which is less noisy than
accuracy; the result is made of all texts.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fedseed.data.tokens import Dataset
from fedseed.errors import SeedError
from fedseed.linear.class_counts import ClassCounts, lexicon_of_counts
from fedseed.linear.counts import mean_counts, text_lengths
from fedseed.linear.lexicon import as_model, quantise
from fedseed.linear.selection import LabelledCounts, Selection
from fedseed.linear.token_weights import TokenWeights
from fedseed.seeds.kinds.lexicon import MOST_LEVELS, LexiconOptions
from fedseed.seeds.kinds.lexicon.coding import encode_lexicon
from fedseed.seeds.kinds.lexicon.format import OVERHEAD
from fedseed.seeds.kinds.lexicon.words import Lexicon

_LEVELS = (1, 2, 3, 4, 6, 10)
_EXPONENTS = (0.25, 0.5)
_LOG_SCALES = (-7.0, 7.0)
_TRIES = 6
"""Of how many tokens fit."""
_SET_ASIDE = 4
"""One text in so many is set aside to choose by."""


class Extraction:
    """Makes lexicons of any length of the same texts."""

    def __init__(self, texts: LabelledCounts) -> None:
        """Order tokens by importance, in all texts and in those that are not set aside.

        Args:
            texts: what lexicons are made of.

        Raises:
            SeedError: the texts say nothing about the classes.
        """
        number = len(texts.labels)
        if number < _SET_ASIDE or len(np.unique(texts.labels)) < 2 or not texts.counts.nnz:
            raise SeedError("the texts say nothing about the classes: give more of each class")
        aside = np.arange(number) % _SET_ASIDE == _mixed(number)
        self._texts, self._judged = texts, texts.part(np.flatnonzero(aside))
        self._learnt = texts.part(np.flatnonzero(~aside))
        self._selection, self._all = Selection(self._learnt), Selection(texts)

    def lexicon(
        self, most_bytes: int, words: int | None = None, levels: int | None = None
    ) -> Lexicon:
        """The best lexicon that fits.

        Args:
            most_bytes: longest code of the lexicon, see :func:`encode_lexicon`.
            words: tokens in it; tried out when None.
            levels: largest level; tried out when None.

        Raises:
            SeedError: none fits, or no token says anything about the classes.
        """
        found: list[tuple[float, int, float]] = []
        for most, exponent in _settings(levels):
            lexicon = _largest(self._learnt, self._selection, most_bytes, words, most, exponent)
            if lexicon is not None:
                found.append((_loss(as_model(lexicon), self._judged), most, exponent))
        if found:
            _, most, exponent = min(found)
            lexicon = _largest(self._texts, self._all, most_bytes, words, most, exponent)
            if lexicon is not None:
                return lexicon
        raise SeedError(f"no lexicon of these texts has {most_bytes} bytes: give more")


def lexicon_of(dataset: Dataset, max_length: int, options: LexiconOptions) -> Lexicon:
    """The best lexicon of a data set's training texts.

    Args:
        dataset: a tokenised data set; its test texts are not looked at.
        max_length: tokens of a text that count, special tokens included.
        options: how large the seed may be, with everything around the lexicon.

    Raises:
        SeedError: see :class:`Extraction`.
    """
    texts = training_counts(dataset, max_length)
    if options.estimate == "counts":
        lengths = text_lengths(dataset.table, dataset.train, max_length)
        counted = ClassCounts.of(texts.counts, lengths, texts.labels, texts.classes)
        return lexicon_of_counts(counted, options.max_bytes - OVERHEAD)
    extraction = Extraction(texts)
    return extraction.lexicon(options.max_bytes - OVERHEAD, options.words, options.levels)


def training_counts(dataset: Dataset, max_length: int) -> LabelledCounts:
    """The training texts of a data set, as a linear model learns from them.

    Args:
        dataset: a tokenised data set.
        max_length: tokens of a text that count, special tokens included.
    """
    rows = dataset.train
    counts = mean_counts(dataset.table, rows, max_length)
    return LabelledCounts(counts, dataset.table.labels[rows], dataset.labels)


def _loss(model: TokenWeights, texts: LabelledCounts) -> float:
    """Mean loss of a model on some texts, nats, with its scores at the scale that suits them."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    scores = model.scores(texts.counts)
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    rows = np.arange(len(texts.labels))

    def loss(logarithm: float) -> float:
        known = log_softmax(scores * np.exp(logarithm), axis=1)[rows, texts.labels]
        return float(-known.mean())

    return float(minimize_scalar(loss, bounds=_LOG_SCALES, method="bounded").fun)


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
        tokens, model = selection.fitted(count)
        try:
            lexicon = quantise(model, tokens, levels, exponent, selection.deviations, texts.mean())
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
