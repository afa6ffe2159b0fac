"""Labels as they stand in a table to class numbers from 0: one rule for all formats.

Numbers in any clothing (1, 1.0, "1", true, a Decimal) are one class; classes that are numbers
come in numerical order, before those that are words, in alphabetical order.
"""

import numbers
import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import DataError

MAX_CLASSES = 255
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_LIST = re.compile(r"""\[\s*(('.*'|".*"|-?\d[-\d.,\s]*)\s*)?\]""", re.DOTALL)
"""A list that was written as text."""
_TRUTH = {"true": Decimal(1), "false": Decimal(0)}
_MOST_DISTINCT = 100_000
"""Distinct labels after which a column is given up: no such number of classes is trained."""
Key = tuple[int, Decimal, str]


class ClassNumbers:
    """Collects labels row by row and numbers the classes at the end."""

    def __init__(self) -> None:
        self._places: dict[tuple[type, object], int] = {}
        self._keys: dict[Key, int] = {}
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
        if value is None or value != value or (isinstance(value, str) and not value.strip()):
            raise DataError(f"{where}: the label of data row {row} is missing: fill it in, or "
                            "leave the row out")  # fmt: skip
        word = str(value).strip() if not isinstance(value, bool) else str(value).lower()
        if _LIST.fullmatch(word):
            raise _several(where, row)
        number = self._number(value, word)
        if self._given is not None:
            number = self._of_given(number, word, where, row)
            return (0, number, ""), self._given[int(number)]
        if number is None:
            return (1, Decimal(0), word), word
        name = word.lower() if word.lower() in _TRUTH else _plain(number)
        return (0, number, ""), name

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

    @staticmethod
    def _number(value: object, word: str) -> Decimal | None:
        if word.lower() in _TRUTH:
            return _TRUTH[word.lower()]
        if isinstance(value, str | numbers.Number):
            try:
                return Decimal(word) if _NUMBER.fullmatch(word) else None
            except InvalidOperation:
                return None
        return None

    def _refuse_other_spelling(self, name: str, where: str, row: int) -> None:
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        other, first = self._spellings.setdefault(folded, (name, row))
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
        ordered = sorted(self._keys)
        numbers_of = {key: number for number, key in enumerate(ordered)}
        return np.array([numbers_of[key] for key in self._keys], dtype=np.int64)

    def finish(self, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Class numbers of all rows, and the classes' names by number.

        Raises:
            DataError: there is one class only, or there are over 255.
        """
        if len(self._names) < 2:
            raise DataError(
                f"{where} holds one class only: accuracy means nothing there; give data with at "
                "least two classes"
            )
        order, names = self._order(), self._given
        if names is None:
            names = tuple(self._names[place] for place in np.argsort(order))
        if len(names) > MAX_CLASSES:
            raise _too_many(where, len(names))
        return order[np.frombuffer(self._rows, dtype=np.int32)], names


def _plain(number: Decimal) -> str:
    """A number's name: 1 for 1.0, 0.5 for 0.50."""
    return str(int(number)) if number == int(number) else format(number.normalize(), "f")


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
