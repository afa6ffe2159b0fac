"""Duplicates out first, then one fixed, stratified test split."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.data.sources import LabelledTexts
from fedseed.errors import DataError
from fedseed.randomness import generator

TEST_SHARE = 0.2
"""Share of the examples kept for testing when the source has no test split."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the train and test examples among the kept ones."""

    kept: Rows
    """Rows of the source that are no duplicates, in the source's order."""
    train: Rows
    """Positions in ``kept``."""
    test: Rows
    """Positions in ``kept``; the same for every run seed."""
    duplicates_dropped: int


def fold(text: str) -> str:
    """Fold white space: texts that differ in nothing else are duplicates."""
    return " ".join(text.split())


def split(source: LabelledTexts) -> Split:
    """Drop duplicates and split.

    A text that stands in both official splits stays in the test split. Without an official
    test split, a fifth of each class is set aside by a generator of fixed name, whatever the
    run's seed.

    Raises:
        DataError: a split would hold one class only or nothing at all.
    """
    labels = np.asarray(source.labels, dtype=np.int64)
    official = np.asarray(source.official_test or [False] * len(labels), dtype=bool)
    kept = _first_of_each(source.texts, official)
    if source.official_test is not None:
        test = np.flatnonzero(official[kept])
    else:
        test = _stratified(labels[kept])
    train = np.setdiff1d(np.arange(len(kept)), test)
    for name, rows in (("train", train), ("test", test)):
        present = np.unique(labels[kept][rows])
        if len(present) < 2:
            raise DataError(
                f"the {name} split holds {len(rows)} examples of {len(present)} class(es) once "
                "duplicates are dropped: accuracy means nothing there; give data with at least "
                "two classes and several examples of each in every split"
            )
    return Split(kept, train, test, len(labels) - len(kept))


def _first_of_each(texts: Sequence[str], official_test: NDArray[np.bool_]) -> Rows:
    seen: set[bytes] = set()
    kept: list[int] = []
    for row in [*np.flatnonzero(official_test), *np.flatnonzero(~official_test)]:
        digest = hashlib.blake2b(fold(texts[row]).encode(), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(int(row))
    return np.sort(np.asarray(kept, dtype=np.int64))


def _stratified(labels: Rows) -> Rows:
    rng = generator(0, "test-split")
    chosen = [
        rng.permutation(np.flatnonzero(labels == number))[: round(TEST_SHARE * int(count))]
        for number, count in zip(*np.unique(labels, return_counts=True), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def content_digest(texts: Sequence[str], labels: Sequence[int]) -> str:
    """sha256 over the kept examples, the same for CSV, Parquet and JSON Lines."""
    whole = hashlib.sha256()
    for text, label in zip(texts, labels, strict=True):
        encoded = text.encode("utf-8", "surrogatepass")
        whole.update(len(encoded).to_bytes(8, "little") + label.to_bytes(2, "little") + encoded)
    return whole.hexdigest()
