"""The linear model of equal bytes: what a bag of words that anybody can send is right on.

It stands beside every figure of bytes, since whatever travels should know more than that. Made of
all training texts together, which no protocol has: chosen tokens with quantised weights (see
:mod:`fedseed.linear.extraction`), and for scale hashed tokens without a choice.
"""

import functools
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import SeedError
from fedseed.evaluation.kept import kept
from fedseed.evaluation.metrics import accuracy, count_correct
from fedseed.linear.counts import mean_counts
from fedseed.linear.extraction import Extraction, training_counts
from fedseed.linear.hashed import Estimate, HashedModel, hashed_models
from fedseed.linear.lexicon import as_model
from fedseed.linear.selection import LabelledCounts
from fedseed.seeds.kinds.lexicon.coding import encode_lexicon
from fedseed.seeds.kinds.lexicon.words import Lexicon

SIZES = (*(size << power for power in range(5, 15) for size in (2, 3)), 1 << 16)
"""Bytes of the models in a study: 64, 96, 128, 192 and so on to 65,536."""
LEXICON = "lexicon"
HASHED: Mapping[str, Estimate] = {"hashed logistic": "logistic", "hashed counts": "counts"}
"""Linear models of hashed tokens: logistic regression and naive Bayes."""
_SET_ASIDE = 4
_VERSION = "2"
_ROOM = 0.9
"""A lexicon that leaves more than a tenth of its bytes free has all the words that there are."""


def lexicon_curve(
    dataset: Dataset, max_length: int, tests: Rows, sizes: Sequence[int] = SIZES
) -> list[dict[str, Any]]:
    """Accuracies of lexicons of so many bytes; kept in the cache between runs.

    Args:
        dataset: tokenised for a model of the BERT family; its training texts are learnt from.
        max_length: tokens of a text that count.
        tests: test rows.
        sizes: longest codes, bytes.

    Returns:
        For each size of which there is a lexicon: ``model``, ``bytes``, ``words``, and an accuracy
        object.
    """
    maker = _Maker(dataset, max_length, tests)
    points = [
        kept("linear", (*_parts(dataset, max_length, tests), f"{LEXICON}/{size}"),
             functools.partial(maker.point, size))
        for size in sizes
    ]  # fmt: skip
    return [point for point in points if point is not None]


class _Maker:
    """Makes lexicons of one data set, one after the other."""

    def __init__(self, dataset: Dataset, max_length: int, tests: Rows) -> None:
        self._dataset, self._length, self._tests = dataset, max_length, tests
        self._whole: Lexicon | None = None
        """A lexicon of all words, once one fits with room to spare."""

    @functools.cached_property
    def _extraction(self) -> Extraction:
        return Extraction(training_counts(self._dataset, self._length))

    def point(self, size: int) -> dict[str, Any] | None:
        """The best lexicon of at most so many bytes; None where there is none."""
        lexicon = self._whole
        if lexicon is None:
            try:
                lexicon = self._extraction.lexicon(size)
            except SeedError:  # the texts say nothing, or not within so few bytes
                return None
            if len(encode_lexicon(lexicon)) < _ROOM * size:
                self._whole = lexicon
        counts = mean_counts(self._dataset.table, self._tests, self._length)
        about = {"model": LEXICON, "bytes": size, "words": len(lexicon.tokens)}
        return about | _accuracy(self._dataset, self._tests, as_model(lexicon).answers(counts))


def hashed_curves(
    dataset: Dataset, max_length: int, tests: Rows, sizes: Sequence[int] = SIZES
) -> list[dict[str, Any]]:
    """The same of hashed tokens: how many buckets and levels is chosen on texts set aside."""
    points: list[dict[str, Any]] = []
    for name in HASHED:
        parts = (*_parts(dataset, max_length, tests), f"{name}/{list(sizes)}")
        measure = functools.partial(_hashed, name, dataset, max_length, tests, sizes)
        points += kept("linear", parts, measure)
    return points


def at_most(curve: Sequence[Mapping[str, Any]], size: float) -> Mapping[str, Any] | None:
    """The largest lexicon of at most so many bytes; None where there is none."""
    small = [point for point in curve if point["model"] == LEXICON and point["bytes"] <= size]
    return max(small, key=lambda point: int(point["bytes"]), default=None)


def _hashed(
    name: str, dataset: Dataset, max_length: int, tests: Rows, sizes: Sequence[int]
) -> list[dict[str, Any]]:
    texts, estimate = training_counts(dataset, max_length), HASHED[name]
    if len(np.unique(texts.labels)) < 2 or not texts.counts.nnz:
        return []
    rows = np.arange(len(texts.labels))
    learnt, judged = (texts.part(rows[(rows % _SET_ASIDE == 0) == aside]) for aside in (0, 1))
    counts = mean_counts(dataset.table, tests, max_length)
    pairs = zip(hashed_models(learnt, estimate), hashed_models(texts, estimate), strict=True)
    tried = [(_share_right(one, judged), final) for one, final in pairs]
    points = []
    for size in sizes:
        fitting = [(right, final) for right, final in tried if final.bytes <= size]
        if fitting:
            _, best = max(fitting, key=lambda pair: pair[0])
            about = {"model": name, "bytes": size, "buckets": len(best.weights)}
            points.append(about | _accuracy(dataset, tests, best.answers(counts)))
    return points


def _share_right(model: HashedModel, judged: LabelledCounts) -> float:
    return float((model.answers(judged.counts) == judged.labels).mean())


def _accuracy(dataset: Dataset, tests: Rows, answers: Rows) -> dict[str, Any]:
    chosen = np.eye(dataset.labels, dtype=np.float32)[answers]
    return accuracy([count_correct(chosen, dataset.table.labels[tests])]).to_record()


def _parts(dataset: Dataset, max_length: int, tests: Rows) -> tuple[bytes | str, ...]:
    """What decides a measurement."""
    return (
        _VERSION, dataset.sha256, dataset.train.tobytes(), np.asarray(tests).tobytes(),
        str(max_length), importlib.metadata.version("scikit-learn"),
    )  # fmt: skip
