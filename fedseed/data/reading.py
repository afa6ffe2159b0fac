"""Reading a source: texts one after another, and the labels, splits and groups beside them."""

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fedseed.data.label_words import word_of
from fedseed.data.labels import ClassNumbers
from fedseed.data.tables.cells import USUAL, Cells, Table, Wanted, is_number
from fedseed.data.texts import clean_text
from fedseed.errors import DataError

_WHOLE = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
Parts = dict[str, list[Table]]
"""Tables by the name of their split."""


@dataclass(frozen=True)
class LabelledTexts:
    """A data set as read: nothing dropped, nothing split."""

    texts: list[str]
    labels: list[int]
    """Class numbers from 0."""
    classes: tuple[str, ...]
    """Class names, by number."""
    official_test: list[bool] | None = None
    """For every text whether the source calls it a test example; None without a split."""


@dataclass(frozen=True)
class Source:
    """A data set that can be read, and a key that changes whenever its content does."""

    name: str
    key: str
    parts: Callable[[], Parts]
    """Opens the tables, by split: train, and test or validation if there are such."""
    wanted: Wanted = field(default_factory=Wanted)
    """What was asked of the tables."""

    def reading(self) -> "Reading":
        """Begin to read the texts."""
        return Reading(self.name, self.parts(), self.wanted)

    def read(self) -> LabelledTexts:
        """All texts at once.

        Raises:
            DataError: the source cannot be read, or is no data set of several classes.
        """
        reading = self.reading()
        texts = list(reading)
        labels, classes = reading.classes()
        official = reading.official_test()
        return LabelledTexts(
            texts, labels.tolist(), classes, None if official is None else official.tolist()
        )


class Reading(Iterator[str]):
    """Texts one after another, empty where there is none; what else was read is kept."""

    def __init__(self, name: str, parts: Parts, wanted: Wanted) -> None:
        self.name = name
        self.notes: list[str] = []
        """What was found or assumed, for the plan."""
        self._labels = ClassNumbers()
        self._tests = bytearray()
        self._groups = array("i")
        self._group_numbers: dict[str, int] = {}
        self._header = _header(wanted.text, "text"), _header(wanted.label, "label")
        self._splits = _used_splits(name, parts, self.notes)
        self.size = sum(table.size for _, table in self._splits)
        """Rows, about; 0 where that is not known before they are read."""
        self._texts = self._read()

    def __next__(self) -> str:
        return next(self._texts)

    def _read(self) -> Iterator[str]:
        for test, table in self._splits:
            self._labels.name_classes(table.classes, table.name)
            for row, cells in enumerate(table.rows(), 1):
                text = clean_text(cells.texts, table.name, row)
                if self._repeats_header(cells):
                    raise DataError(f"{table.name}: data row {row} repeats the names of the "
                                    "columns: leave it out")  # fmt: skip
                group = _group(cells.group)
                number = (
                    self._group_numbers.setdefault(group, len(self._group_numbers)) if group else -1
                )
                self._labels.add(cells.label, table.name, row)
                self._tests.append(test)
                self._groups.append(number)
                yield text
            self.notes += [note for note in table.notes if note not in self.notes]

    def _repeats_header(self, cells: Cells) -> bool:
        """Whether a row holds the names of its columns, as files that were joined have it."""
        label, (texts, labels) = cells.label, self._header
        return (
            isinstance(label, str)
            and label.strip().casefold() in labels
            and all(isinstance(cell, str) and cell.strip().casefold() in texts
                    for cell in cells.texts)
        )  # fmt: skip

    def classes(self, fewest: int = 2) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Class numbers of all rows that were read, and the classes' names.

        Args:
            fewest: classes that there must be.

        Raises:
            DataError: there are no rows, one class only, or too many.
        """
        if not self._tests:
            raise DataError(f"{self.name} holds no rows: give a file with labelled texts")
        numbers, names = self._labels.finish(self.name, fewest)
        self.notes += self._labels.notes
        return numbers, names

    def first_row(self, number: int) -> str:
        """Where a class first occurs, for messages."""
        return self._labels.first_row(number)

    def official_test(self) -> NDArray[np.bool_] | None:
        """For every row whether the source calls it a test example; None without a split."""
        tests = np.frombuffer(self._tests, dtype=np.bool_)
        return tests if tests.any() else None

    def groups(self) -> NDArray[np.int64]:
        """Number of the group that every row belongs to, -1 for none.

        Raises:
            DataError: some rows say whose they are, and others do not.
        """
        groups = np.frombuffer(self._groups, dtype=np.int32).astype(np.int64)
        missing = np.flatnonzero(groups < 0)
        if 0 < len(missing) < len(groups):
            raise DataError(
                f"{self.name}: data row {missing[0] + 1} does not say whose it is "
                f"({len(missing):,} such rows): fill in the column of --by, or leave them out"
            )
        return groups


def _header(given: str | None, kind: str) -> frozenset[str]:
    """Names that a column may have: the given ones, or the usual ones."""
    if given is None or all(is_number(part) for part in given.split("+")):
        return frozenset(USUAL[kind])
    return frozenset(part.strip().casefold() for part in (given, *given.split("+")))


def _group(cell: object) -> str:
    """What a group is called: 1 for 1.0, as labels are; empty for none."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    word = word_of(cell)
    whole = _WHOLE.fullmatch(word)
    return whole[1] if whole else word


def _used_splits(name: str, parts: Parts, notes: list[str]) -> list[tuple[bool, Table]]:
    """Tables to read, and whether they are for testing.

    Raises:
        DataError: there is nothing to train on.
    """
    if "train" not in parts:
        raise DataError(f"{name} has no split named train: give another --data")
    used = [(False, table) for table in parts["train"]]
    tests = "test" if "test" in parts else "validation"
    if tests == "test" and all(_labels_hidden(table) for table in parts["test"]):
        tests = "validation"
        if tests not in parts:
            train = ", ".join(table.name for table in parts["train"][:3])
            raise DataError(f"{name}: its test split has no labels, and there is no validation "
                            f"split: give the train split alone ({train})")  # fmt: skip
        notes.append("the test split's labels are hidden: the validation split is tested on")
    elif tests == "validation" and tests in parts:
        notes.append("there is no test split: the validation split is tested on")
    others = sorted(set(parts) - {"train", "test", tests})
    if others:
        notes.append(f"not read: the split(s) {', '.join(others)}"[:200])
    return used + [(True, table) for table in parts.get(tests, [])]


def _labels_hidden(table: Table) -> bool:
    """Whether no row of a table has a label: -1 or nothing in all of them."""
    return all(cells.label in (None, -1, "-1", "") for cells in table.rows())
