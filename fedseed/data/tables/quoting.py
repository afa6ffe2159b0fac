"""Quoting of separated values, always strict: by RFC 4180, by backslashes, or none."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import open_text
from fedseed.errors import DataError

LONGEST_CELL = 1 << 24
"""Characters of one cell."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*')


@dataclass(frozen=True)
class Dialect:
    """How cells are separated and quoted."""

    separator: str
    quoting: str = "doubled"
    """``doubled`` quotes within quotes, ``escaped`` ones, or ``none``: quotes are letters."""
    spaced: bool = False
    """Whether spaces that follow a separator are no part of the cell."""

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Cells of some lines, strictly; raises csv.Error."""
        options: dict[str, Any] = {"delimiter": self.separator, "strict": True}
        options["skipinitialspace"] = self.spaced
        if self.quoting == "escaped":
            options["escapechar"] = "\\"
            lines = self._with_backslashes_of_letters(lines)
        if self.quoting == "none":
            options["quoting"] = csv.QUOTE_NONE
        return csv.reader(lines, **options)

    def _with_backslashes_of_letters(self, lines: Iterable[str]) -> Iterator[str]:
        r"""Lines where a backslash before a letter, as in ``C:\temp``, is a letter as well."""
        pattern = re.compile(rf'\\(["\\\r\n{re.escape(self.separator)}]?)')
        for line in lines:
            yield pattern.sub(lambda m: m[0] if m[1] else r"\\", line) if "\\" in line else line


@dataclass(frozen=True)
class Row:
    """One record of the file."""

    number: int
    """From 1; the first line counts, blank ones and those of empty cells do not."""
    line: int
    """Where it begins."""
    cells: list[str]
    """None where all of them are empty."""
    lines: list[str]
    """The lines of the file that it stands in."""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return _place(self.number, self.line)


def _place(number: int, line: int) -> str:
    """A row by its number, and by its line where that is another one."""
    return f"row {number} ({'the first line is row 1' if number == line else f'line {line}'})"


class BrokenQuotesError(DataError):
    """A record breaks the dialect."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row
        """Its number."""


class _Lines(Iterator[str]):
    """Lines of a file, of which those of the current record are kept."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.taken: list[str] = []

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken.append(line)
        return line


def named_separator(file: TableFile, encoding: str) -> str | None:
    """The separator that a first line such as ``sep=;`` names: Excel reads and writes it so."""
    with open_text(file, encoding) as text:
        match = _SEPARATOR_LINE.fullmatch(text.readline(16))
    return match and match[1]


def records(file: TableFile, encoding: str, dialect: Dialect) -> Iterator[Row]:
    """All records but blank lines, and a line that names the separator.

    Raises:
        BrokenQuotesError: a record that breaks the dialect, named by its row.
    """
    csv.field_size_limit(LONGEST_CELL)
    named = named_separator(file, encoding) is not None
    with open_text(file, encoding) as text:
        if named:
            next(text)
        lines = _Lines(iter(text))
        reader = dialect.reader(lines)
        number, line = 0, 1 + named
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise _broken(file.name, number + 1, line, error) from error
            if cells is None:
                return
            if cells:
                filled = any(cells)
                number += filled
                yield Row(number, line, cells if filled else [], lines.taken)
            line += len(lines.taken)
            lines.taken = []


def _broken(name: str, row: int, line: int, error: csv.Error) -> BrokenQuotesError:
    """What is wrong with a record, without any of its cells."""
    if "field larger" in str(error):
        what = f"holds a cell of over {LONGEST_CELL:,} characters, or a quote that is not closed"
    else:
        what = (
            "has a quote that is not closed, one that is not doubled within quotes, or something "
            "behind a closing one"
        )
    return BrokenQuotesError(f"{name}: {_place(row, line)} {what}: mend it there", row)
