"""Lines of text that begin with their label, as fastText has them: ``__label__good A text``."""

from collections.abc import Iterator

from fedseed.data.tables.cells import Cells, Table, Wanted
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import find_encoding, letters_of, open_text
from fedseed.errors import DataError

MARK = "__label__"


def has_labels(file: TableFile) -> bool:
    """Whether the first line begins with a label."""
    return letters_of(file.start(256)).startswith(MARK)


def read_labelled_lines(file: TableFile, wanted: Wanted) -> Table:
    """Open lines of a label and a text each.

    Raises:
        DataError: it is not text, or a line has no label or several.
    """
    notes: list[str] = []
    encoding = find_encoding(file, wanted.encoding, notes)
    if wanted.text or wanted.label or wanted.group:
        raise DataError(f"{file.name} has lines of text, no columns: leave out --text-column, "
                        "--label-column and --by")  # fmt: skip
    notes.append("lines that begin with their label")

    def rows() -> Iterator[Cells]:
        with open_text(file, encoding) as text:
            for number, line in enumerate(text, 1):
                if line.strip():
                    yield _cells(line.strip(), file.name, number)

    return Table(file.name, rows, notes=notes)


def _cells(line: str, name: str, number: int) -> Cells:
    label, text = (*line.split(maxsplit=1), "")[:2]
    if not label.startswith(MARK) or label == MARK:
        raise DataError(f"{name}: line {number} does not begin with {MARK}: put its label there")
    if line.count(MARK) > 1:
        raise DataError(f"{name}: line {number} has several labels: leave one label a text")
    return Cells((text,), label.removeprefix(MARK))
