"""How many examples there are of each class: in a line, and in a table by client."""

import io
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape

from fedseed.results.fitting import FittingTable, new_table

_MOST_NAMED = 8
"""Classes that a line names one by one."""
_LONGEST = 24
"""Columns of the screen that the name of a class takes."""


def shown_name(name: str) -> str:
    """The name of a class on one line of a screen; a long one is shortened."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if cell_len(plain) <= _LONGEST:
        return plain
    return set_cell_size(plain, _LONGEST - 2).rstrip() + ".."


def class_balance(counts: Sequence[int], classes: Sequence[str]) -> str:
    """Examples of each class in words; of many classes the fewest and the most.

    Of many classes few of which have examples only those are named.
    """
    named = list(zip(classes, counts, strict=True))
    if len(named) > _MOST_NAMED:
        named = [(name, count) for name, count in named if count]
    if len(named) <= _MOST_NAMED:
        return ", ".join(f"{count:,} {shown_name(name)}" for name, count in named)
    low, high = min(counts), max(counts)
    if low == high:
        return f"{low:,} of each of {len(classes)} classes"
    fewest, most = (shown_name(classes[counts.index(end)]) for end in (low, high))
    return f"of each of {len(classes)} classes from {low:,} ({fewest}) to {high:,} ({most})"


def plan_table(
    counts: list[list[int]], classes: Sequence[str], clients: int, width: int = 80, most: int = 20
) -> FittingTable:
    """Examples by client: of each class where the columns fit, else how they are spread.

    Args:
        counts: examples of each class by client, newcomers last.
        classes: their names.
        clients: clients that take part.
        width: columns of the screen.
        most: clients that are shown; of more those in the middle are left out.
    """
    names = [shown_name(name) for name in classes]
    every = range(len(counts))
    shown = [*every] if len(counts) <= most else [*every[: most // 2], *every[-(most // 2) :]]
    heads = [f"{pid}" if pid < clients else f"{pid} (newcomer)" for pid in shown]
    rows = [[f"{sum(counts[pid]):,}", *(f"{n:,}" for n in counts[pid])] for pid in shown]
    table = _table(names, heads, rows, len(counts))
    if _width(table) > width:
        rows = [_spread(counts[pid], names) for pid in shown]
        table = _table(["classes", "largest class", "share"], heads, rows, len(counts))
        held = [_held(client) for client in counts]
        table.caption = (
            f"{len(classes)} classes, of which a client holds {min(held)} to {max(held)}"
        )
    if len(shown) < len(counts):
        sizes = sorted(map(sum, counts))
        about = (
            f"{len(sizes):,} clients of {sizes[0]:,} to {sizes[-1]:,} examples, median "
            f"{sizes[len(sizes) // 2]:,}"
        )
        table.caption = f"{table.caption}; {about}" if table.caption else about
    return table


def _held(counts: Sequence[int]) -> int:
    return sum(count > 0 for count in counts)


def _spread(counts: Sequence[int], names: Sequence[str]) -> list[str]:
    """A client's examples, how many classes it holds, its largest class, and that one's share."""
    total, largest = sum(counts), max(counts)
    share = f"{100 * largest / max(1, total):.1f} %"
    return [f"{total:,}", f"{_held(counts):,}", names[counts.index(largest)], share]


def _table(
    names: Sequence[str], heads: Sequence[str], rows: Sequence[Sequence[str]], clients: int
) -> FittingTable:
    """One row a client; dots stand for clients that are left out in the middle."""
    table = new_table("Examples by client")
    for name in ("client", "examples", *names):
        table.add_column(escape(name), justify="right", no_wrap=True)
    for place, (head, row) in enumerate(zip(heads, rows, strict=True)):
        if len(heads) < clients and place == len(heads) // 2:
            table.add_row("...", *("" for _ in row))
        table.add_row(head, *map(escape, row))
    return table


def _width(table: FittingTable) -> int:
    """Columns of the screen that a table takes."""
    console = Console(width=100_000, file=io.StringIO())
    return console.measure(table).maximum
