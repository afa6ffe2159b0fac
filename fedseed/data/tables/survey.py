"""A first pass over separated values: their quoting, and rows that do not fit."""

import csv
import re
from dataclasses import dataclass, field
from itertools import islice

from fedseed.data.tables.cells import Choice
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import open_text
from fedseed.data.tables.quoting import BrokenQuotesError, Dialect, Row, records
from fedseed.errors import DataError

_LOOKED_AT = 100
"""Lines in which spaces between separator and quote are looked for."""


@dataclass
class Survey:
    """What a first pass over the whole file finds."""

    labels: set[str] = field(default_factory=set)
    first_label_again: bool = False
    first_again: str | None = None
    """Where the whole first line stands once more."""
    rows: int = 0
    empty: int = 0
    """Rows of empty cells, which are passed over."""
    wrapped: int = 0
    """Texts that begin and end with a quote, as they are read."""
    nameless_filled: int = 0
    """Rows with something in a column whose first cell is blank, and that is not read."""
    first_nameless: str = ""
    swallowed: list[tuple[str, list[str]]] = field(default_factory=list)
    """Records of several lines that might each be a row: their places and label cells."""

    @property
    def all_wrapped(self) -> bool:
        """Whether all texts below the first line stand in quotes that are read as letters."""
        return self.wrapped == self.rows - 1 > 0


def survey_file(
    file: TableFile, encoding: str, separator: str, choice: Choice
) -> tuple[Dialect, Survey]:
    """Read the whole file once under each way of quoting until one fits.

    Raises:
        DataError: none does; what the first one finds wrong is said, or what the second one
            does where that gets further.
    """
    spaced = _has_spaces_before_quotes(file, encoding, separator)
    refusal: DataError | None = None
    for quoting in ("doubled", "escaped", *(("none",) if separator == "\t" else ())):
        dialect = Dialect(separator, quoting, spaced)
        try:
            survey = _pass(file, encoding, dialect, choice)
        except DataError as error:
            if refusal is None or (quoting == "escaped" and _gets_further(error, refusal)):
                refusal = error
            continue
        if quoting != "none" or 2 * survey.wrapped < survey.rows:  # else quotes do quote here
            return dialect, survey
    assert refusal is not None
    raise refusal


def _gets_further(one: DataError, other: DataError) -> bool:
    """Whether both are quotes that break, the first one further down."""
    if isinstance(one, BrokenQuotesError) and isinstance(other, BrokenQuotesError):
        return one.row > other.row
    return False


def _has_spaces_before_quotes(file: TableFile, encoding: str, separator: str) -> bool:
    """Whether cells such as ``1, "so good"`` are usual; in quotes they would be doubled."""
    pattern = re.compile(f'{re.escape(separator)} +"(?!")')
    with open_text(file, encoding) as text:
        lines = list(islice(text, 1, 1 + _LOOKED_AT))
    return 4 * sum(pattern.search(line) is not None for line in lines) > len(lines)


def _pass(file: TableFile, encoding: str, dialect: Dialect, choice: Choice) -> Survey:
    survey = Survey()
    widths: _Widths | None = None
    first: list[str] = []
    nameless: list[int] = []
    for row in records(file, encoding, dialect):
        cells = row.cells
        if not cells:
            survey.empty += 1
            continue
        survey.rows += 1
        if widths is None:
            widths, first = _Widths(file.name, len(cells), choice), cells
            nameless = [n for n, cell in enumerate(cells) if not cell.strip()]
            nameless = [n for n in nameless if n not in choice.columns]
        fits = widths.fits(row)
        if row.number == 1 and not fits:
            break
        if row.number == 1 or not fits:
            continue
        _note_row(survey, row, first, choice)
        if nameless and any(cells[n] for n in nameless if n < len(cells)):
            survey.nameless_filled += 1
            survey.first_nameless = survey.first_nameless or row.place
        if len(row.lines) > 1:
            labels = _labels_of_lines(row.lines, dialect, len(first), choice)
            if len(labels) > 1:
                survey.swallowed.append((row.place, labels))
    if widths is not None:
        widths.refuse_ragged(survey.rows - 1)
    _refuse_swallowed(file.name, survey)
    return survey


def _note_row(survey: Survey, row: Row, first: list[str], choice: Choice) -> None:
    """Add what a row of the usual width shows."""
    label, text = row.cells[choice.label], row.cells[choice.text[0]]
    survey.labels.add(label)
    if label == first[choice.label]:
        survey.first_label_again = True
        if survey.first_again is None and row.cells == first:
            survey.first_again = row.place
    survey.wrapped += text[:1] in ("'", '"') and len(text) > 1 and text[0] == text[-1]


def _refuse_swallowed(name: str, survey: Survey) -> None:
    """Raise a DataError for a record that holds rows, since its quote is closed in one of them."""
    for place, labels in survey.swallowed:
        if sum(label in survey.labels for label in labels) > 1:
            raise DataError(
                f"{name}: {place} runs over lines that look like rows of their own: close the "
                "quote that it begins with"
            )


class _Widths:
    """Rows by their number of cells."""

    def __init__(self, name: str, width: int, choice: Choice) -> None:
        self._name = name
        self._width = width
        self._least = choice.last + 1
        self._seen: dict[int, int] = {}
        self._first: dict[int, Row] = {}
        self._filled = 0
        self._odd: list[Row] = []
        """The first row of too few cells, or with something beyond those of the first line."""

    def fits(self, row: Row) -> bool:
        """Count a row; whether it has the cells that are read, and nothing beyond the header."""
        width = len(row.cells)
        if row.number > 1:
            self._seen[width] = self._seen.get(width, 0) + 1
        self._first.setdefault(width, row)
        if width >= self._least and not (width > self._width and any(row.cells[self._width :])):
            return True
        self._filled += width > self._width
        if not self._odd:
            self._odd.append(row)
        return False

    def refuse_ragged(self, rows: int) -> None:
        """Raise a DataError for the first row of an odd width.

        Separators at the end of most rows are fine.
        """
        if set(self._seen) == {self._width + 1} and 2 * self._filled > rows:
            raise DataError(
                f"{self._name}: every row has one cell more than the first line: name the first "
                "column there if it holds row names (as R writes them), or put texts that hold "
                "the separator in double quotes"
            )
        usual = max([self._width, *self._seen], key=lambda width: self._seen.get(width, 0))
        wide = [row for n, row in self._first.items() if n > max(usual, self._width)]
        odd = min(self._odd + wide, key=lambda row: row.number, default=None)
        if odd is not None:
            short = len(odd.cells) < self._least
            step = "fill in what is missing" if short else (
                "put texts that hold the separator in double quotes, or delete those at its end"
            )  # fmt: skip
            at = "" if odd.line == odd.number else f" (line {odd.line})"
            raise DataError(
                f"{self._name}: row {odd.number}{at} has {len(odd.cells)} cells, the first line "
                f"{self._width}: {step}"
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
