"""Duplicates out first, then one fixed, stratified test split."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    conflicts: int = 0
    """Duplicates whose label is another than that of the text that was kept."""
    rare: tuple[int, ...] = ()
    """Classes that were left out, since they have too few examples."""


def fold(text: str) -> str:
    """Fold white space: texts that differ in nothing else are duplicates."""
    return " ".join(text.split())


def text_digests(texts: Sequence[str]) -> NDArray[np.void]:
    """A digest of each text, 16 bytes: the same for texts that differ in white space alone."""
    digests = (hashlib.blake2b(fold(text).encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(b"".join(digests), "V16")


def split(
    digests: NDArray[np.void], labels: Rows, official_test: NDArray[np.bool_] | None = None, *,
    rows: Rows | None = None, drop_rare: int = 0, first_row: Callable[[int], str] = str,
) -> Split:  # fmt: skip
    """Drop duplicates and split.

    A text that stands in both official splits stays in the test split. Without an official
    test split, a fifth of each class is set aside by a generator of fixed name, whatever the
    run's seed.

    Args:
        digests: equal for texts that are duplicates, shape ``(texts,)``.
        labels: class numbers, shape ``(texts,)``.
        official_test: whether the source calls a text a test example; None without a split.
        rows: texts that may be kept, ascending; all of them when None.
        drop_rare: classes of fewer examples are left out.
        first_row: says where a class first occurs, for a message.

    Raises:
        DataError: a class is too small to be split, or a split would hold one class or nothing.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    official = np.zeros(len(labels), dtype=bool) if official_test is None else official_test
    kept, conflicts = _first_of_each(digests, labels, rows, official)
    dropped = len(rows) - len(kept)
    counts = np.bincount(labels[kept], minlength=1)
    rare = np.flatnonzero((counts > 0) & (counts < drop_rare))
    kept = kept[~np.isin(labels[kept], rare)]
    test = _stratified(labels[kept]) if official_test is None else np.flatnonzero(official[kept])
    train = np.setdiff1d(np.arange(len(kept)), test)
    _refuse_one_class(labels[kept], train, test)
    if official_test is None:
        _refuse_too_small(labels[kept], test, first_row)
    return Split(kept, train, test, dropped, conflicts, tuple(rare.tolist()))


def _refuse_one_class(labels: Rows, train: Rows, test: Rows) -> None:
    for name, part in (("train", train), ("test", test)):
        present = np.unique(labels[part])
        if len(present) < 2:
            raise DataError(
                f"the {name} split holds {len(part)} examples of {len(present)} class(es) once "
                "duplicates are dropped: accuracy means nothing there; give data with at least "
                "two classes and several examples of each in every split"
            )


def _refuse_too_small(labels: Rows, test: Rows, first_row: Callable[[int], str]) -> None:
    """Raise a DataError for classes of which no example would be tested."""
    counts = np.bincount(labels)
    small = np.setdiff1d(np.flatnonzero(counts), labels[test])
    if len(small):
        most = int(counts[small].max())
        raise DataError(
            f"{len(small)} class(es) have too few examples to be trained on and tested, the first "
            f"{counts[small[0]]} ({first_row(int(small[0]))}): leave such classes out by "
            f"--drop-rare {most + 1}, or add examples"
        )


def _first_of_each(
    digests: NDArray[np.void], labels: Rows, rows: Rows, official_test: NDArray[np.bool_]
) -> tuple[Rows, int]:
    """The first row of each text, tests before others, and how many others contradict it."""
    order = np.concatenate([rows[official_test[rows]], rows[~official_test[rows]]])
    words = np.ascontiguousarray(digests[order]).view(np.uint64).reshape(len(order), -1)
    # Sorted by digest and then by order: the first of each run is the one that is kept.
    ranks = np.lexsort((np.arange(len(order)), *words.T))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (words[ranks][1:] != words[ranks][:-1]).any(axis=1)
    firsts = order[ranks[new]]
    twins = np.repeat(firsts, np.diff(np.append(np.flatnonzero(new), len(order))))
    conflicts = int((labels[order[ranks]] != labels[twins]).sum())
    return np.sort(firsts), conflicts


def _stratified(labels: Rows) -> Rows:
    rng = generator(0, "test-split")
    chosen = [
        rng.permutation(np.flatnonzero(labels == number))[: round(TEST_SHARE * int(count))]
        for number, count in zip(*np.unique(labels, return_counts=True), strict=True)
    ]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *chosen]))


def content_digest(content: NDArray[np.void], labels: Rows) -> str:
    """sha256 over the kept examples, the same for all formats of a table.

    Args:
        content: sha256 of each text's UTF-8, shape ``(texts,)``.
        labels: class numbers, shape ``(texts,)``.
    """
    whole = hashlib.sha256(np.ascontiguousarray(content).tobytes())
    whole.update(labels.astype("<u2").tobytes())
    return whole.hexdigest()
