"""Tables that fit any width: where their columns don't, each row becomes a block of lines."""

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_ANY = 100_000
"""Columns within which every table fits."""


class FittingTable(Table):
    """A table that never breaks a word, nor ends one in dots, however narrow the console."""

    def fits(self, console: Console, options: ConsoleOptions) -> bool:
        """Whether the columns have room, side by side."""
        wide = options.update(width=_ANY)
        needed = Measurement.get(console, wide, self)
        whole = all(column.no_wrap for column in self.columns)
        return (needed.maximum if whole else needed.minimum) <= options.max_width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table, or a block of lines for each row."""
        if self.fits(console, options):
            yield from super().__rich_console__(console, options)
            return
        if self.title:
            yield Text(str(self.title), style="bold")
        yield from self._blocks()
        if self.caption:
            yield Text(str(self.caption))

    def _blocks(self) -> Iterator[Any]:
        columns = [list(column.cells) for column in self.columns]
        for cells in zip(*columns, strict=True):
            block = Table.grid(padding=(0, 1))
            block.add_column(overflow="fold")
            block.add_column(overflow="fold")
            for column, cell in list(zip(self.columns, cells, strict=True))[1:]:
                if str(cell):
                    block.add_row(_left(column.header), _left(cell))
            yield cells[0]
            yield Padding(block, (0, 0, 0, 2))


def new_table(title: str) -> FittingTable:
    """A table in the house's style."""
    return FittingTable(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )


def _left(cell: Any) -> Any:
    """A cell as it stands at the left of a block."""
    if not isinstance(cell, Text):
        return cell
    moved = cell.copy()
    moved.justify = "left"
    return moved


class _FittingElement(TableElement):
    """A table within Markdown."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            assert isinstance(table, Table)
            yield _of(table)


def _of(table: Table) -> FittingTable:
    fitting = FittingTable(
        box=table.box, pad_edge=table.pad_edge, style=table.style, show_edge=table.show_edge,
        collapse_padding=table.collapse_padding,
    )  # fmt: skip
    for column in table.columns:
        fitting.add_column(column.header)
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        fitting.add_row(*cells)
    return fitting


class FittingMarkdown(Markdown):
    """Markdown whose tables fit."""

    elements = {**Markdown.elements, "table_open": _FittingElement}  # noqa: RUF012  # as in rich
