"""Columns of tables as numbers, by which a reader sorts them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(
    r"[<>≤~]? ?"
    r"(?P<value>[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)"
    r" ?(?P<unit>%|[KMG]?B|[kMG]?bit/s|bytes)?"
    r"(?![\w.:/-])"
)
_UNITS = {
    "KB": 1e3, "MB": 1e6, "GB": 1e9, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9,
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """How one column is sorted."""

    numbers: tuple[float | None, ...] | None
    """A number for each row, None where the cell has none; None as a whole for a column of text."""

    def number(self, row: int) -> float | None:
        """The number of a row, if it has one."""
        return None if self.numbers is None else self.numbers[row]


def number_in(words: str) -> float | None:
    """The number that a text begins with, in the unit of all of its kind; None without one.

    ``84.4 % (83.3 - 85.4)`` is 84.4, ``1.4 KB`` 1,400; a name, a date or a version has none.
    """
    found = _NUMBER.match(words)
    if found is None:
        return None
    value = float(found["value"].replace(",", ""))
    return value * _UNITS.get(found["unit"] or "", 1.0)


def column_of(cells: Sequence[object]) -> Column:
    """How a column is sorted: by numbers where every cell that has a digit has a number.

    Args:
        cells: texts, or whatever else a table's cell may hold, which makes the column one of text.
    """
    numbers: list[float | None] = []
    for cell in cells:
        number = number_in(cell) if isinstance(cell, str) else None
        if number is None and (not isinstance(cell, str) or re.search(r"\d", cell)):
            return Column(None)
        numbers.append(number)
    known = any(number is not None for number in numbers)
    return Column(tuple(numbers) if known else None)
