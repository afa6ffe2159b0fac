"""What is asked of a table, which of its columns hold it, and what one row gives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fedseed.errors import DataError

USUAL: dict[str, tuple[str, ...]] = {
    "text": (
        "text", "review", "sentence", "content", "comment", "message", "tweet", "document",
        "utterance",
    ),
    "label": ("label", "sentiment", "labels", "category", "class", "target", "intent"),
}  # fmt: skip
"""Column names that are looked for, in lower case, when none is given."""
MOST_COLUMNS = 10_000


class NoColumnError(DataError):
    """A table has no column of the name or number that is looked for."""


class Cells(NamedTuple):
    """What one row holds."""

    texts: tuple[object, ...]
    """Cells of the text columns, as the file has them."""
    label: object
    group: object = None
    """Cell of the column that says whose row it is; None when nobody asked."""


@dataclass(frozen=True)
class Wanted:
    """How a table is to be read; what is None is looked for."""

    text: str | None = None
    """A column's name, its number from 1, or several joined by ``+``."""
    label: str | None = None
    group: str | None = None
    encoding: str | None = None
    separator: str | None = None
    header: Literal["auto", "yes", "no"] = "auto"
    keep: tuple[str, str] | None = None
    """A column and a value: rows with another value are passed over."""
    labelled: bool = True
    """Whether there are labels; without them the label of a row is its text."""


@dataclass(frozen=True)
class Choice:
    """Positions of the columns that are read."""

    text: tuple[int, ...]
    label: int
    group: int | None = None
    keep: int | None = None

    @property
    def columns(self) -> set[int]:
        """All of them."""
        others = {n for n in (self.group, self.keep) if n is not None}
        return {*self.text, self.label, *others}

    @property
    def last(self) -> int:
        """The rightmost of them."""
        return max(self.columns)

    def cells(self, row: Sequence[object]) -> Cells:
        """What a row holds."""
        group = None if self.group is None else row[self.group]
        return Cells(tuple(row[column] for column in self.text), row[self.label], group)


@dataclass
class Table:
    """A table that can be read as often as one likes."""

    name: str
    """The file's name, for messages."""
    rows: Callable[[], Iterator[Cells]]
    """Reads the rows from the first one on; raises a DataError at one that cannot be read."""
    classes: tuple[str, ...] | None = None
    """Class names by number, where the file itself says them."""
    notes: list[str] = field(default_factory=list)
    """What was found or assumed, for the plan."""
    size: int = 0
    """Rows, about; 0 where that is not known before they are read."""


def choose_columns(
    columns: Sequence[str], wanted: Wanted, where: str, shown: Sequence[str] = ()
) -> Choice:
    """Find the columns that are asked for, or the usual ones.

    Args:
        columns: the names that the table has.
        wanted: names, numbers from 1, or None for the usual names.
        where: the table's name, for the message.
        shown: names that may stand in a message; the others might be cells.

    Raises:
        DataError: there is no such column, or several could be meant.
    """
    if len(columns) > MOST_COLUMNS:
        raise DataError(f"{where} has {len(columns):,} columns: give a table of texts and labels")

    def one(given: str | None, kind: str) -> int:
        return _column(columns, given, kind, where, shown)

    text = wanted.text
    parts = [text] if text is None or text in columns else text.split("+")
    texts = tuple(one(part, "text") for part in parts)
    label = one(wanted.label, "label") if wanted.labelled else texts[0]
    if label in texts and wanted.labelled:
        raise DataError(f"{where}: one column cannot be text and label: give two columns")
    return Choice(
        texts,
        label,
        None if wanted.group is None else one(wanted.group, "by"),
        None if wanted.keep is None else one(wanted.keep[0], "keep"),
    )


def _column(
    columns: Sequence[str], given: str | None, kind: str, where: str, shown: Sequence[str]
) -> int:
    option = "--by COLUMN" if kind == "by" else f"--{kind}-column NAME"
    names = [column.strip() for column in columns]
    if given is None:
        places = _usual(names, kind)
    elif is_number(given) and given not in shown:  # a cell of the first line, maybe
        number = int(given)
        if not 1 <= number <= len(names):
            raise NoColumnError(
                f"{where} has no column {number}: it has {len(names)}; give {option}"
            )
        return number - 1
    else:
        places = [n for n, name in enumerate(names) if name == given.strip()]
    if len(places) == 1:
        return places[0]
    listed = f"it has {len(names)} columns{_listed([name for name in names if name in shown])}"
    if places:
        twice = "several columns could hold" if given is None else "several columns are called"
        what = f"the {kind}" if given is None else f"'{given}'"
        raise DataError(f"{where}: {twice} {what}; {listed}: give {option}")
    named = f"'{given}'" if given else f"({', '.join(USUAL[kind][:3])}, ...)"
    raise NoColumnError(
        f"{where} has no {kind} column {named}; {listed}: give {option}, or its number from 1"
    )


def is_number(given: str) -> bool:
    """Whether a column is given by its number."""
    return given.isascii() and given.isdigit() and len(given) < 6


def _usual(names: Sequence[str], kind: str) -> list[int]:
    """Columns of a usual name: of the plain name alone where there is one."""
    folded = [name.casefold() for name in names]
    plain = [n for n, name in enumerate(folded) if name == kind]
    return plain or [n for n, name in enumerate(folded) if name in USUAL[kind]]


def _listed(names: Sequence[str], longest: int = 200) -> str:
    """Some names in brackets, each in one piece and not too long."""
    joined = ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in names)
    joined = " ".join(joined.split())
    joined = joined if len(joined) <= longest else f"{joined[:longest]}..."
    return f" ({joined})" if joined else ""


def usual_names(names: Sequence[str]) -> list[str]:
    """Those names of a first line that are no cells but usual names of columns."""
    usual = {name for kind in USUAL.values() for name in kind}
    return [name.strip() for name in names if name.strip().casefold() in usual]


def describe_choice(columns: Sequence[str], choice: Choice) -> str:
    """Which columns are read, for the plan."""
    names = [column.strip() or f"number {n + 1}" for n, column in enumerate(columns)]
    text = " + ".join(names[column] for column in choice.text)
    whose = "" if choice.group is None else f", whose they are in {names[choice.group]}"
    labels = "" if choice.label in choice.text else f", labels in {names[choice.label]}"
    return f"texts in column {text}{labels}{whose}"
