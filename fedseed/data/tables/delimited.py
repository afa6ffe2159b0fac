"""Tables of separated values (CSV, TSV, ...): separator and header are found, or refused."""

from collections.abc import Iterator, Sequence
from itertools import islice

from fedseed.data.tables.cells import (
    Cells,
    Choice,
    Table,
    Wanted,
    choose_columns,
    describe_choice,
    is_number,
    usual_names,
)
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import find_encoding
from fedseed.data.tables.quoting import Dialect, named_separator, records
from fedseed.data.tables.survey import Survey, survey_file
from fedseed.errors import DataError

_LINES_ABOVE = 30
"""Lines in which column names are looked for that do not stand in the first."""
SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


def read_delimited(file: TableFile, wanted: Wanted, usual: str) -> Table:
    """Open a table of separated values.

    Args:
        file: the file.
        wanted: what is asked of it.
        usual: the separator that its name promises.

    Raises:
        DataError: separator or columns cannot be told, or a row cannot be read.
    """
    notes: list[str] = []
    encoding = find_encoding(file, wanted.encoding, notes)
    named = named_separator(file, encoding)
    if named is not None:
        notes.append(f"its first line, which is not counted, says sep={named}")
    given = named if wanted.separator is None else wanted.separator
    separator, choice, header = _find_separator(file, encoding, wanted, usual, given)
    if separator != usual and given is None:
        notes.append(f"separated by {SEPARATORS.get(separator, repr(separator))}")
    dialect, survey = survey_file(file, encoding, separator, choice)
    notes += _quoting_notes(dialect, survey)
    if wanted.header != "auto":
        skip = wanted.header == "yes"
    else:
        skip = _named(wanted, header) or not survey.first_label_again
        if not _named(wanted, header):
            notes.append(
                "the first line is taken for column names: --header no says otherwise"
                if skip
                else "the first line is taken for data, not for column names"
            )
    shown = header if skip else [f"number {n + 1}" for n in range(len(header))]
    notes.append(describe_choice(shown, choice))
    if skip:
        _refuse_odd_rows(file.name, survey, choice, header)

    def rows() -> Iterator[Cells]:
        for row in records(file, encoding, dialect):
            if row.number > skip and row.cells and _is_kept(row.cells, choice, wanted):
                yield choice.cells(row.cells)

    return Table(file.name, rows, notes=notes, size=survey.rows - skip)


def _quoting_notes(dialect: Dialect, survey: Survey) -> Iterator[str]:
    """What is said of a file's quotes and empty rows."""
    if dialect.quoting == "escaped":
        yield "quotes within quotes stand behind a backslash"
    if dialect.quoting == "none":
        yield "quotes are read as letters, since some are never closed"
    if dialect.spaced:
        yield "spaces before a quote are no part of the text"
    if survey.all_wrapped and dialect.quoting != "none":
        yield "every text stands in quotes that are read as part of it"
    if survey.empty:
        yield f"{survey.empty:,} row(s) of empty cells are passed over"


def _refuse_odd_rows(name: str, survey: Survey, choice: Choice, header: list[str]) -> None:
    """Raise a DataError for rows that do not fit the column names above them."""
    if survey.first_again is not None:
        raise DataError(f"{name}: {survey.first_again} repeats the column names: delete it")
    if 0 < 2 * survey.nameless_filled < survey.rows:
        first = last = choice.text[-1]
        while last + 1 < len(header) and not header[last + 1].strip():
            last += 1
        join = "+".join(str(column + 1) for column in (*choice.text, *range(first + 1, last + 1)))
        raise DataError(
            f"{name}: {survey.first_nameless} fills a column without a name, which most rows leave "
            "empty: "
            + (
                f"give --text-column {join} if texts run over into it, or name it in the first line"
                if last > first
                else "name it in the first line, or empty it"
            )
        )


def _is_kept(cells: list[str], choice: Choice, wanted: Wanted) -> bool:
    return choice.keep is None or wanted.keep is None or cells[choice.keep] == wanted.keep[1]


def _named(wanted: Wanted, header: list[str]) -> bool:
    """Whether the first line holds the names that are asked for, or usual ones."""
    names = {name.strip() for name in header}
    asked = {*(wanted.text or "").split("+"), wanted.text, wanted.label, wanted.group}
    by_name = {name for name in asked if name and not is_number(name)}
    return wanted.label is None or wanted.text is None or bool(names & by_name)


def _find_separator(
    file: TableFile, encoding: str, wanted: Wanted, usual: str, given: str | None
) -> tuple[str, Choice, list[str]]:
    """The separator under which the columns are found: the given or usual one if it will do.

    Raises:
        DataError: it cannot be told; what the usual separator lacks is said.
    """
    given = {"tab": "\t", "\\t": "\t"}.get(given or "", given)
    if given is not None and (len(given) != 1 or given in '"\r\n\\'):
        raise DataError("--separator takes one character, or tab")
    candidates = [usual, *(s for s in SEPARATORS if s != usual)] if given is None else [given]
    refusal: DataError | None = None
    fits: dict[str, tuple[Choice, list[str]]] = {}
    for separator in candidates:
        header = _first_row(file, encoding, separator)
        try:
            fits[separator] = (
                choose_columns(header, wanted, file.name, usual_names(header)),
                header,
            )
        except DataError as error:
            if refusal is None or (len(header) > 1 and "it has 1 columns" in str(refusal)):
                refusal = error
        if separator == usual and usual in fits:
            break
    if not fits:
        assert refusal is not None
        _refuse_lines_above(file, encoding, wanted, candidates)
        raise refusal
    if len(fits) > 1:
        raise DataError(
            f"{file.name} could be separated by {' or '.join(SEPARATORS[s] for s in fits)}: give "
            "--separator"
        )
    separator, (choice, header) = next(iter(fits.items()))
    return separator, choice, header


def _first_row(file: TableFile, encoding: str, separator: str) -> list[str]:
    """Cells of the first record.

    Raises:
        DataError: there is none, or it holds a quote that is not closed.
    """
    for quoting in ("doubled", "none"):
        try:
            for row in records(file, encoding, Dialect(separator, quoting, spaced=True)):
                if row.cells:
                    return row.cells
            break
        except DataError:
            if quoting == "none":
                raise
    raise DataError(f"{file.name} holds no rows: give a file with labelled texts")


def _refuse_lines_above(
    file: TableFile, encoding: str, wanted: Wanted, candidates: Sequence[str]
) -> None:
    """Raise a DataError if the column names stand below the first line, under a title maybe."""
    if any(is_number(part) for part in (wanted.text or "", wanted.label or "")):
        return
    for separator in candidates:
        rows = records(file, encoding, Dialect(separator, "none", spaced=True))
        for row in islice(rows, _LINES_ABOVE):
            cells = [cell.strip('"') for cell in row.cells]
            try:
                choose_columns(cells, wanted, file.name)
            except DataError:
                continue
            if row.number == 1:
                raise DataError(f"{file.name}: its first line stands in quotes as a whole: take "
                                "the quotes around whole lines away")  # fmt: skip
            raise DataError(
                f"{file.name}: the column names seem to stand in line {row.line}: delete the "
                "lines above it"
            )
