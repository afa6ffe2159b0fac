"""Labels as they stand in a table to class numbers from 0: one rule for all formats.

Numbers in any clothing (1, 1.0, "1", true, a Decimal) are one class; classes that are numbers
come in numerical order, before those that are words, in alphabetical order.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from fedseed.data.label_words import (
    Key,
    are_halves,
    are_whole,
    decimal_commas,
    folded,
    key_of_word,
    listed,
    missing_among_numbers,
    name_of,
    number_of,
    several_in_one,
    word_of,
)
from fedseed.errors import DataError

MAX_CLASSES = 255
_MOST_DISTINCT = 100_000
"""Distinct labels after which a column is given up: no such number of classes is trained."""


class ClassNumbers:
    """Collects labels row by row and numbers the classes at the end."""

    def __init__(self) -> None:
        self._places: dict[tuple[type, object], int] = {}
        self._keys: dict[Key, int] = {}
        self.notes: list[str] = []
        """What was assumed, once :meth:`finish` was called."""
        self._read_as: Mapping[Key, Key] = {}
        self._names: list[str] = []
        self._spellings: dict[str, tuple[str, int]] = {}
        self._rows = array("i")
        self._first: list[tuple[str, int]] = []
        self._given: tuple[str, ...] | None = None

    def name_classes(self, names: tuple[str, ...] | None, where: str) -> None:
        """Take over class names that a source has; labels may be numbers or these names.

        Raises:
            DataError: another part of the source has other names, or a name stands there twice.
        """
        if names is None:
            return
        if self._given not in (None, names) or len(set(names)) < len(names):
            raise DataError(f"{where}: its parts name the classes differently: give one table")
        self._given = names

    def add(self, value: object, where: str, row: int) -> None:
        """Take the label of a row.

        Args:
            value: the cell.
            where: the table's name, for messages.
            row: number of the data row from 1, for messages.

        Raises:
            DataError: it is missing, holds several labels, or is an earlier one written otherwise.
        """
        if isinstance(value, list | tuple | set | np.ndarray) and len(value) == 1:
            (value,) = value
        try:
            place = self._places.get((type(value), value))
        except TypeError:
            place = None
        if place is None:
            place = self._new(value, where, row)
        self._rows.append(place)

    def _new(self, value: object, where: str, row: int) -> int:
        key, name = self._key(value, where, row)
        place = self._keys.get(key)
        if place is None:
            if key[0]:
                self._refuse_other_spelling(name, where, row)
            place = self._keys[key] = len(self._names)
            self._names.append(name)
            self._first.append((where, row))
            if place >= _MOST_DISTINCT:
                raise _too_many(where, place)
        self._places[type(value), value] = place
        return place

    def _key(self, value: object, where: str, row: int) -> tuple[Key, str]:
        """What a label is sorted and told apart by, and its name."""
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, list | tuple | dict | set | np.ndarray):
            raise _several(where, row)
        word = word_of(value)
        if value is None or value != value or word in ("", r"\N"):
            raise _missing(where, row)
        parts = listed(word)
        if parts is not None:
            if len(parts) != 1:
                raise _several(where, row)
            return self._key(parts[0], where, row)
        number = number_of(value, word)
        if self._given is not None:
            number = self._of_given(number, word, where, row)
            return (0, number, ""), self._given[int(number)]
        if number is None:
            return key_of_word(word), word
        return (0, number, ""), name_of(number, word)

    def _of_given(self, number: Decimal | None, word: str, where: str, row: int) -> Decimal:
        assert self._given is not None
        if word in self._given:
            return Decimal(self._given.index(word))
        if number == -1:
            raise DataError(f"{where}: data row {row} has label -1, which means none: leave the "
                            "row out")  # fmt: skip
        if number is None or number != int(number) or not 0 <= number < len(self._given):
            raise DataError(f"{where}: the label of data row {row} is none of the "
                            f"{len(self._given)} classes that the source names")  # fmt: skip
        return number

    def _refuse_other_spelling(self, name: str, where: str, row: int) -> None:
        other, first = self._spellings.setdefault(folded(name), (name, row))
        if other != name:
            raise DataError(
                f"{where}: the labels of data rows {first} and {row} differ only in how they are "
                "written: write them alike"
            )

    def first_row(self, number: int) -> str:
        """Where a class first occurs, for messages: its name is a cell and not said."""
        where, row = self._first[int(np.flatnonzero(self._order() == number)[0])]
        return f"first in data row {row} of {where}"

    def _order(self) -> NDArray[np.int64]:
        """Class number by the order in which classes first occurred."""
        if self._given is not None:
            return np.array([int(number) for _, number, _ in self._keys], dtype=np.int64)
        keys = [self._read_as.get(key, key) for key in self._keys]
        numbers_of = {key: number for number, key in enumerate(sorted(set(keys)))}
        return np.array([numbers_of[key] for key in keys], dtype=np.int64)

    def finish(self, where: str, fewest: int = 2) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Class numbers of all rows, and the classes' names by number.

        Args:
            where: the data's name, for messages.
            fewest: classes that there must be; 1 for a site, whose other classes are elsewhere.

        Raises:
            DataError: there is one class only, there are over 255, or a label that occurs is
                several or none among the others.
        """
        if self._given is None:
            self._settle()
        order = self._order()
        if len(np.unique(order)) < fewest:
            raise DataError(
                f"{where} holds one class only: accuracy means nothing there; give data with at "
                "least two classes"
            )
        names = self._given
        if names is None:
            places = np.unique(order, return_index=True)[1]
            names = tuple(self._names[place] for place in places)
        if len(names) > MAX_CLASSES:
            raise _too_many(where, len(names))
        return order[np.frombuffer(self._rows, dtype=np.int32)], names

    def _settle(self) -> None:
        """Read words by what the other labels are.

        Raises:
            DataError: a word that means none among numbers, or several labels in one string.
        """
        keys = list(self._keys)
        place = missing_among_numbers(keys)
        if place is not None:
            raise _missing(*self._first[place])
        self._read_as = decimal_commas(keys)
        numbers = self._read_as.values()
        scale = are_whole(numbers) or are_halves(numbers, keys)
        place = None if scale else several_in_one(keys)
        if place is not None:
            raise _several(*self._first[place])
        if self._read_as:
            self.notes.append("labels with a decimal comma are numbers")
            for place, key in enumerate(keys):
                if key in self._read_as:
                    self._names[place] = name_of(self._read_as[key][1], "")


def _missing(where: str, row: int) -> DataError:
    return DataError(f"{where}: the label of data row {row} is missing: fill it in, or leave the "
                     "row out")  # fmt: skip


def _several(where: str, row: int) -> DataError:
    return DataError(f"{where}: data row {row} has several labels or none in a list: leave one "
                     "label a text")  # fmt: skip


def _too_many(where: str, count: int) -> DataError:
    return DataError(
        f"{where} holds {count} distinct labels, and at most {MAX_CLASSES} are classes: give "
        "--label-column NAME"
    )


def to_class_numbers(values: Iterable[object], where: str) -> tuple[list[int], Sequence[str]]:
    """Number the classes of some labels.

    Args:
        values: the labels as read.
        where: the data's name, for the message.

    Returns:
        Class numbers and class names.

    Raises:
        DataError: see :class:`ClassNumbers`.
    """
    collected = ClassNumbers()
    for row, value in enumerate(values, 1):
        collected.add(value, where, row)
    rows, names = collected.finish(where)
    return rows.tolist(), names
