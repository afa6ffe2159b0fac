"""What a page is made of. All text is plain: the template escapes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from fedseed.results.report.chart import Chart
from fedseed.results.report.sorting import Column, column_of

Level = Literal["bad", "warning", "unknown", "bounded"]
"""How a verdict looks; each has a sign of its own, so that no colour is needed to tell them."""
SIGNS: dict[Level, str] = {"bad": "✕", "warning": "!", "unknown": "?", "bounded": "≤"}


@dataclass(frozen=True)
class Badge:
    """A verdict: a few words with a sign."""

    level: Level
    words: str

    @property
    def sign(self) -> str:
        """One character that stands before the words."""
        return SIGNS[self.level]


Content = str | Badge | tuple[str, ...]
"""What a cell of a table holds; of several texts each has a line of its own."""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Notice:
    """Text that nobody should miss."""

    kind: ClassVar[str] = "notice"
    text: str


@dataclass(frozen=True)
class Bullets:
    """A list; with numbers where the order counts."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]
    ordered: bool = False


@dataclass(frozen=True)
class Answer:
    """A question of the reader, its answer, and where more of it stands."""

    question: str
    lines: Sequence[str]
    anchor: str
    """Of a section or block of the page."""
    more: str
    """The words of the link."""


@dataclass(frozen=True)
class Answers:
    """Questions with their answers; each question is a heading."""

    kind: ClassVar[str] = "answers"
    items: Sequence[Answer]


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row."""

    kind: ClassVar[str] = "table"
    anchor: str
    """Unique on the page."""
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Content]]
    """Each as long as the head."""
    note: str = ""
    folds: bool = False
    """On a narrow screen every row becomes a card; otherwise the table scrolls in its frame."""
    sorts: bool = False
    """A reader may sort the rows by a column."""
    foot: Sequence[Sequence[Content]] = ()
    """Rows below the others that no sorting moves; each as long as the head."""

    @property
    def columns(self) -> list[Column]:
        """The columns, with the numbers by which they are sorted."""
        return [column_of(cells) for cells in zip(*self.rows, strict=True)]

    @property
    def can_be_sorted(self) -> bool:
        """Whether there is something to sort."""
        return self.sorts and len(self.rows) > 1


@dataclass(frozen=True)
class Definitions:
    """Terms and what they mean; a term's anchor is :func:`term_anchor`."""

    kind: ClassVar[str] = "definitions"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figure:
    """A chart below the question that it answers, above the answer."""

    anchor: str
    question: str
    chart: Chart
    answer: str


@dataclass(frozen=True)
class Figures:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "figures"
    items: Sequence[Figure]


@dataclass(frozen=True)
class Command:
    """Words for a command line."""

    kind: ClassVar[str] = "command"
    text: str


@dataclass(frozen=True)
class Drawing:
    """A picture that was drawn elsewhere, on white in every colour scheme."""

    kind: ClassVar[str] = "drawing"
    anchor: str
    title: str
    """What the picture is, in a few words."""
    description: str
    """What it shows, for readers who do not see it."""
    shapes: str
    """The inside of an ``svg`` element: SVG that is trusted, not escaped."""
    width: float
    height: float
    """Of the picture, in its own units: points."""
    caption: str

    @property
    def has_images(self) -> bool:
        """Whether pixels stand within the picture."""
        return "<image" in self.shapes


Block = Paragraph | Notice | Bullets | Answers | Table | Definitions | Figures | Command | Drawing


@dataclass(frozen=True)
class Section:
    """A part of the page with its own heading and a place in the table of contents."""

    anchor: str
    title: str
    blocks: Sequence[Block]
    sections: "Sequence[Section]" = ()
    """Parts of it, one level deep."""


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    lead: Sequence[str]
    """Paragraphs below the title."""
    sections: Sequence[Section]
    footer: str
