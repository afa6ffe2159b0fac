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
class SplitRules:
    """How a data set is split."""

    drop_rare: int = 0
    """Classes of fewer examples are left out."""
    test_share: float = TEST_SHARE
    """Of each class, where the source has no test split."""
    of_one_site: bool = False
    """Whether classes may be missing, or be too small to be tested: other sites have them."""


WHOLE = SplitRules()
"""A data set that is trained and tested on alone."""


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


def folded_digest(text: str) -> bytes:
    """A digest of 16 bytes, the same for texts that differ in white space alone."""
    return hashlib.blake2b(fold(text).encode(), digest_size=16).digest()


def text_digests(texts: Sequence[str]) -> NDArray[np.void]:
    """The :func:`folded_digest` of each text, shape ``(texts,)``."""
    return np.frombuffer(b"".join(folded_digest(text) for text in texts), "V16")


def split(
    folded: NDArray[np.void], labels: Rows, official_test: NDArray[np.bool_] | None = None, *,
    seen: NDArray[np.void] | None = None, rows: Rows | None = None, rules: SplitRules = WHOLE,
    first_row: Callable[[int], str] = str,
) -> Split:  # fmt: skip
    """Drop duplicates and split.

    A text that stands in both official splits stays in the test split. Without an official
    test split, a fifth of each class is set aside by a generator of fixed name, whatever the
    run's seed. Their order is drawn before the tokenizer says what it cannot tell apart, so that
    two tokenizers test on almost the same texts.

    Args:
        folded: equal for texts that differ in white space alone, shape ``(texts,)``.
        labels: class numbers, shape ``(texts,)``.
        official_test: whether the source calls a text a test example; None without a split.
        seen: equal for texts that a model cannot tell apart either; ``folded`` when None.
        rows: texts that may be kept, ascending; all of them when None.
        rules: how much is tested on, and which classes are left out.
        first_row: says where a class first occurs, for a message.

    Raises:
        DataError: all texts are empty, a class is too small to be split, a split would hold one
            class or nothing, or the splits share no class.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    if not len(rows):
        raise DataError(
            f"none of the {len(labels):,} rows has a text that holds anything: give --text-column "
            "NAME"
        )
    official = np.zeros(len(labels), dtype=bool) if official_test is None else official_test
    distinct, conflicts = _first_of_each(folded, labels, rows, official)
    kept, others = distinct, 0
    if seen is not None:
        kept, others = _first_of_each(seen, labels, distinct, official)
    dropped = len(rows) - len(kept)
    kept, rare = _without_rare(labels, kept, rules, official_test is not None)
    tests = kept[official[kept]]
    if official_test is None:
        tests = _stratified(labels, distinct, kept, rules.test_share)
    test = np.searchsorted(kept, tests)
    train = np.setdiff1d(np.arange(len(kept)), test)
    if rules.of_one_site:
        _refuse_nothing_to_train(train)
    else:
        _refuse_unfit(labels[kept], train, test)
        if official_test is None:
            _refuse_too_small(labels[kept], test, first_row)
    return Split(kept, train, test, dropped, conflicts + others, tuple(rare.tolist()))


def _without_rare(labels: Rows, kept: Rows, rules: SplitRules, has_test: bool) -> tuple[Rows, Rows]:
    """Rows of classes of enough examples, and the classes that are left out."""
    counts = np.bincount(labels[kept], minlength=1)
    rare = np.flatnonzero((counts > 0) & (counts < rules.drop_rare))
    if not rules.of_one_site:
        _refuse_all_small(counts, rules, has_test)
    return kept[~np.isin(labels[kept], rare)], rare


def _refuse_nothing_to_train(train: Rows) -> None:
    if not len(train):
        raise DataError("no text is left to train on once duplicates are dropped: give more texts")


def _refuse_all_small(counts: Rows, rules: SplitRules, has_test: bool) -> None:
    """Raise a DataError where no class is left, or none could give an example to test on."""
    most, classes, drop_rare = int(counts.max()), int((counts > 0).sum()), rules.drop_rare
    if most < drop_rare:
        raise DataError(
            f"no class has {drop_rare:,} examples, the largest has {most:,}: give a smaller "
            "--drop-rare"
        )
    if not has_test and round(rules.test_share * most) < 1:
        raise DataError(
            f"none of the {classes} classes has more than {most} example(s) once duplicates are "
            "dropped, too few to be trained on and tested: the label column seems to hold numbers "
            "of rows or texts; give --label-column NAME"
        )


def _refuse_unfit(labels: Rows, train: Rows, test: Rows) -> None:
    for name, part in (("train", train), ("test", test)):
        present = np.unique(labels[part])
        if len(present) < 2:
            raise DataError(
                f"the {name} split holds {len(part)} examples of {len(present)} class(es) once "
                "duplicates are dropped: accuracy means nothing there; give data with at least "
                "two classes and several examples of each in every split"
            )
    if not np.isin(labels[test], labels[train]).any():
        raise DataError(
            "no class of the test split stands in the train split: write the labels of both alike"
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


def _stratified(labels: Rows, distinct: Rows, kept: Rows, share: float) -> Rows:
    """Rows to test on: of each class the first share of those kept, in an order of all distinct."""
    rng = generator(0, "test-split")
    chosen = [np.zeros(0, dtype=np.int64)]
    for number in np.unique(labels[distinct]):
        order = distinct[rng.permutation(np.flatnonzero(labels[distinct] == number))]
        order = order[np.isin(order, kept)]
        chosen.append(order[: round(share * len(order))])
    return np.sort(np.concatenate(chosen))


def content_digest(content: NDArray[np.void], labels: Rows) -> str:
    """sha256 over the kept examples, the same for all formats of a table.

    Args:
        content: sha256 of each text's UTF-8, shape ``(texts,)``.
        labels: class numbers, shape ``(texts,)``.
    """
    whole = hashlib.sha256(np.ascontiguousarray(content).tobytes())
    whole.update(labels.astype("<u2").tobytes())
    return whole.hexdigest()
