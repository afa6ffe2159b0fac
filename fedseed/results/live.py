"""A compact live screen: finished rounds as a table, what goes on now as bars below it."""

from collections.abc import Callable, Iterable
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from fedseed.results.display import Display, Lines, Quiet, RoundFigures
from fedseed.results.markdown import size
from fedseed.transcript import Exchange

_SHOWN = 8
"""Rounds on the screen while it lives; in the end all are there."""
_HEADS = ("round", "clients", "loss", "test accuracy", "down", "up", "seconds")
_Make = Callable[[int | None], Table | None]


class _Screen(Progress):
    """Bars with a table above them."""

    def __init__(self, table: _Make, console: Console) -> None:
        self._above = table
        super().__init__(
            TextColumn("{task.description}"), BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[note]}", markup=False),
            console=console, transient=True,
        )  # fmt: skip

    def get_renderables(self) -> Iterable[RenderableType]:
        """See rich."""
        table = self._above(_SHOWN)
        if table is not None:
            yield table
        yield from super().get_renderables()


def _row(result: Any) -> tuple[str, ...]:
    """A finished round as the table shows it."""
    one, test = RoundFigures.of(result), result.measured.get("test")
    losses = one.losses
    accuracy = "-"
    if test is not None:
        low, high = test["ci95"]
        accuracy = f"{100 * test['value']:.1f} % ({100 * low:.1f} - {100 * high:.1f})"
    return (
        str(result.round), f"{one.replies} of {one.clients}",
        f"{min(losses):.3f} to {max(losses):.3f}" if losses else "-", accuracy,
        size(one.down), size(one.up), f"{result.seconds:.1f}",
    )  # fmt: skip


class Live(Display):
    """A live table of rounds with bars below it, for a terminal; the table stays."""

    def __init__(self, console: Console) -> None:
        """Draw on this console."""
        super().__init__()
        self._console = console
        self._bar: _Screen | None = None
        self._tasks: dict[str, TaskID] = {}
        self._rounds: list[Any] = []

    def _progress(self) -> Progress:
        if self._bar is None:
            self._bar = _Screen(self._table, self._console)
            self._bar.start()
        return self._bar

    def _table(self, most: int | None = None) -> Table | None:
        """The last rounds; None before the first."""
        if not self._rounds:
            return None
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in _HEADS:
            table.add_column(name, justify="right", no_wrap=True)
        for row in self._rounds[-most:] if most else self._rounds:
            table.add_row(*_row(row))
        return table

    def _show(self, name: str, done: float, total: float, note: str = "") -> None:
        bar = self._progress()
        if name not in self._tasks:
            self._tasks[name] = bar.add_task(name, total=total, note=note)
        bar.update(self._tasks[name], completed=done, note=note)
        if done >= total:
            bar.remove_task(self._tasks.pop(name))

    def show_exchange(self, exchange: Exchange, line: str) -> None:
        """See :class:`Display`."""
        if exchange.status != "ok":
            self._console.print(line, style="yellow", markup=False)
        if self.workload is not None:
            note = f"{self.workload.time_left()} left, {line}"
            self._show("clients", self.workload.done, self.workload.total, note)

    def round_done(self, result: Any) -> None:
        """See :class:`Display`."""
        self._rounds.append(result)
        if self._bar is not None:
            self._bar.refresh()

    def phase(self, text: str) -> None:
        """See :class:`Display`."""
        self._console.print(text, highlight=False, markup=False)

    def tokenising(self, done: int, total: int) -> None:
        """See :class:`Display`."""
        self._show("tokenising", done, total, f"{done:,} of {total:,} texts")

    def original(self, step: int, steps: int) -> None:
        """See :class:`Display`."""
        self._show("training the original", step, steps, f"step {step:,} of {steps:,}")

    def progress(self, what: str, done: float, total: float, note: str) -> None:
        """See :class:`Display`."""
        self._show(what, done, total, note)

    def stop(self) -> None:
        """See :class:`Display`."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        table, self._rounds = self._table(), []
        if table is not None:
            self._console.print(table)


def make_display(quiet: bool, console: Console) -> Display:
    """The display that fits: none, a live one on a terminal, or plain lines."""
    if quiet:
        return Quiet()
    if console.is_terminal:
        return Live(console)
    return Lines(lambda line: print(line, file=console.file, flush=True))
