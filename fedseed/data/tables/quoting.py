"""Quoting of separated values: strict, by RFC 4180 or by backslashes, and what it swallows."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fedseed.data.tables.cells import Choice
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

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Cells of some lines, strictly; raises csv.Error."""
        options: dict[str, Any] = {"delimiter": self.separator, "strict": True}
        if self.quoting == "escaped":
            options |= {"doublequote": False, "escapechar": "\\"}
        if self.quoting == "none":
            options |= {"quoting": csv.QUOTE_NONE}
        return csv.reader(lines, **options)


@dataclass(frozen=True)
class Row:
    """One record of the file."""

    number: int
    """From 1; the first line counts."""
    cells: list[str]
    lines: list[str]
    """The lines of the file that it stands in."""


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
        DataError: a record that breaks the dialect, named by its row.
    """
    csv.field_size_limit(LONGEST_CELL)
    named = named_separator(file, encoding) is not None
    with open_text(file, encoding) as text:
        if named:
            next(text)
        lines = _Lines(iter(text))
        reader = dialect.reader(lines)
        number = 0
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise _broken(file.name, number + 1, error) from error
            if cells is None:
                return
            if cells:
                number += 1
                yield Row(number, cells, lines.taken)
            lines.taken = []


def _broken(name: str, number: int, error: csv.Error) -> DataError:
    """What is wrong with a record, without any of its cells."""
    if "field larger" in str(error):
        what = f"holds a cell of over {LONGEST_CELL:,} characters, or a quote that is not closed"
    else:
        what = "has a quote that is not closed, or one that is not doubled within quotes"
    return DataError(f"{name}: row {number} (the first line is row 1) {what}: mend it there")


@dataclass
class Survey:
    """What a first pass over the whole file finds."""

    labels: set[str] = field(default_factory=set)
    first_label_again: bool = False
    rows: int = 0
    swallowed: list[tuple[int, list[str]]] = field(default_factory=list)
    """Records of several lines that might each be a row: number and their label cells."""


def survey_file(
    file: TableFile, encoding: str, separator: str, choice: Choice
) -> tuple[Dialect, Survey]:
    """Read the whole file once under each way of quoting until one fits.

    Raises:
        DataError: none does; what the first one finds wrong is said.
    """
    refusal: DataError | None = None
    for quoting in ("doubled", "escaped", *(("none",) if separator == "\t" else ())):
        dialect = Dialect(separator, quoting)
        try:
            return dialect, _pass(file, encoding, dialect, choice)
        except DataError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _pass(file: TableFile, encoding: str, dialect: Dialect, choice: Choice) -> Survey:
    survey = Survey()
    width, first = 0, ""
    for row in records(file, encoding, dialect):
        width = width or len(row.cells)
        _refuse_ragged(file.name, row, width, choice)
        label = row.cells[choice.label]
        if row.number == 1:
            first = label
        else:
            survey.labels.add(label)
            survey.first_label_again |= label == first
            if len(row.lines) > 1:
                labels = _labels_of_lines(row.lines, dialect, width, choice)
                if len(labels) > 1:
                    survey.swallowed.append((row.number, labels))
        survey.rows += 1
    for number, labels in survey.swallowed:
        if sum(label in survey.labels for label in labels) > 1:
            raise DataError(
                f"{file.name}: row {number} (the first line is row 1) runs over lines that look "
                "like rows of their own: close the quote that it begins with"
            )
    return survey


def _refuse_ragged(name: str, row: Row, width: int, choice: Choice) -> None:
    """Raise a DataError for a row of too many cells, or of too few to hold what is read."""
    if len(row.cells) > width and any(row.cells[width:]):
        raise DataError(
            f"{name}: row {row.number} has {len(row.cells)} cells, the first line {width}: put "
            "texts that hold the separator in quotes"
        )
    if len(row.cells) <= choice.last:
        raise DataError(
            f"{name}: row {row.number} has {len(row.cells)} cells, the first line {width}: fill "
            "in what is missing"
        )


def _labels_of_lines(lines: list[str], dialect: Dialect, width: int, choice: Choice) -> list[str]:
    """Label cells of those lines of a record that would be rows if quotes were letters."""
    plain = Dialect(dialect.separator, "none")
    labels = []
    for line in lines:
        try:
            cells = next(plain.reader([line]), [])
        except csv.Error:
            continue
        if len(cells) == width:
            labels.append(cells[choice.label].strip().strip('"'))
    return labels
