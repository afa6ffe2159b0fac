"""What a run shows while it runs: a live bar on a terminal, plain lines elsewhere."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fedseed.transcript import EVALUATE, TRAIN, Exchange


@dataclass
class Workload:
    """How much work a run is, in steps, from which the time left is estimated."""

    train_steps: int
    """Steps of one client in one round."""
    rounds: int
    clients: int
    testers: int
    """Clients that test each product: newcomers too."""
    evaluations: dict[str, float]
    """Work of one client for each product that is tested, in steps."""
    done: float = 0.0
    fresh: float = 0.0
    """Work done since the clock started; work of an interrupted run took no time now."""
    _clock: float = field(default_factory=time.monotonic)

    @property
    def total(self) -> float:
        """All work of the run."""
        tests = self.testers * sum(self.evaluations.values())
        return self.train_steps * self.rounds * self.clients + tests

    def add(self, exchange: Exchange) -> None:
        """Count an exchange that just ended."""
        if exchange.trains:  # keys and shares of secure aggregation take no time to speak of
            work = self.train_steps if exchange.phase == TRAIN else 0.0
        else:
            work = self.evaluations[exchange.group] if exchange.phase == EVALUATE else 0.0
        self.done += work
        self.fresh += work

    def resume(self, exchanges: list[Exchange]) -> None:
        """Count exchanges of an interrupted run."""
        for exchange in exchanges:
            self.add(exchange)
        self.fresh = 0.0

    def time_left(self) -> str:
        """Time left as ``m:ss``, by the speed so far."""
        if self.fresh <= 0:
            return "-:--"
        rate = (time.monotonic() - self._clock) / self.fresh
        seconds = round(rate * max(0.0, self.total - self.done))
        return f"{seconds // 60}:{seconds % 60:02d}"


class Display(ABC):
    """Is called with what happens; implementations show it or keep quiet."""

    def __init__(self) -> None:
        """Start without a workload: time left is not known yet."""
        self.workload: Workload | None = None

    def start(self, workload: Workload) -> None:
        """The run's size is known."""
        self.workload = workload

    def exchanged(self, exchange: Exchange, contents: str = "") -> None:
        """A client has replied, or will not; ``contents`` is what its reply says."""
        if self.workload is not None:
            self.workload.add(exchange)
        self.show_exchange(
            exchange, exchange_line(exchange) + (f", {contents}" if contents else "")
        )

    @abstractmethod
    def show_exchange(self, exchange: Exchange, line: str) -> None:
        """Show that a client has replied, or will not."""

    @abstractmethod
    def round_done(self, result: Any) -> None:
        """Show a finished round (a RoundResult)."""

    @abstractmethod
    def phase(self, text: str) -> None:
        """Show what begins now."""

    @abstractmethod
    def tokenising(self, done: int, total: int) -> None:
        """Show how many texts have been tokenised."""

    @abstractmethod
    def original(self, step: int, steps: int) -> None:
        """Show how far the original's training is."""

    def language_model(self, step: int, steps: int) -> None:
        """Show how far the training of a language model is."""
        if step == steps or step % max(1, steps // 10) == 0:
            self.progress("training the language model", step, steps, f"step {step} of {steps}")

    def progress(self, what: str, done: float, total: float, note: str) -> None:  # noqa: B027
        """Show how far something of known size is."""

    def stop(self) -> None:  # noqa: B027  # only a live display has something to put back
        """Leave the terminal as it was."""


class Quiet(Display):
    """Shows nothing."""

    def show_exchange(self, exchange: Exchange, line: str) -> None:
        """See :class:`Display`."""

    def round_done(self, result: Any) -> None:
        """See :class:`Display`."""

    def phase(self, text: str) -> None:
        """See :class:`Display`."""

    def tokenising(self, done: int, total: int) -> None:
        """See :class:`Display`."""

    def original(self, step: int, steps: int) -> None:
        """See :class:`Display`."""


def round_line(result: Any) -> str:
    """One line about a finished round: replies, losses and bytes."""
    ok = [client for client in result.clients if client["status"] == "ok"]
    metrics = [client["metrics"] for client in ok]
    tried = any("recipes" in one for one in metrics)
    loss, words = (
        ("validation_loss", "validation loss") if tried else ("train_loss", "training loss")
    )
    trials = [trial for one in metrics for trial in one.get("recipes", [one])]
    losses = [trial[loss] for trial in trials if trial.get(loss) is not None]
    span = f"{words} {min(losses):.3f} to {max(losses):.3f}" if losses else "no loss"
    sizes = result.bytes["payload_bytes"]
    return (
        f"round {result.round}: {len(ok)} of {len(result.clients)} clients, {span}, "
        f"payload {sizes['down']:,} B down, {sizes['up']:,} B up"
    )


def exchange_line(exchange: Exchange) -> str:
    """What a client is reported for: the round or the product, and its status."""
    what = f"round {exchange.group}" if exchange.trains else f"test of {exchange.group}"
    reason = f": {exchange.reason}" if exchange.reason else ""
    return f"{what}, client {exchange.partition_id} {exchange.status}{reason}"


class Lines(Display):
    """Plain lines, for logs and pipes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Write lines with this function."""
        super().__init__()
        self._write = write
        self._tenths: dict[str, int] = {}

    def show_exchange(self, exchange: Exchange, line: str) -> None:  # noqa: ARG002
        """See :class:`Display`."""
        left = f" ({self.workload.time_left()} left)" if self.workload else ""
        self._write(line + left)

    def round_done(self, result: Any) -> None:
        """See :class:`Display`."""
        self._write(round_line(result))

    def phase(self, text: str) -> None:
        """See :class:`Display`."""
        self._write(text)

    def _share(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth > self._tenths.get(what, 0):
            self._tenths[what] = tenth
            self._write(f"{what}: {done} of {total}")

    def tokenising(self, done: int, total: int) -> None:
        """See :class:`Display`."""
        self._share("tokenising, texts", done, total)

    def original(self, step: int, steps: int) -> None:
        """See :class:`Display`."""
        self._share("training the original, steps", step, steps)

    def progress(self, what: str, done: float, total: float, note: str) -> None:
        """See :class:`Display`."""
        self._write(f"{what}: {100 * done / max(total, 1e-9):.0f} %, {note}")


class Live(Display):
    """A live bar with finished rounds above it, for a terminal."""

    def __init__(self, console: Console) -> None:
        """Draw on this console."""
        super().__init__()
        self._console = console
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def _progress(self) -> Progress:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[note]}", markup=False),
                console=self._console, transient=True,
            )  # fmt: skip
            self._bar.start()
        return self._bar

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
        self._console.print(round_line(result), highlight=False, markup=False)

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


def make_display(quiet: bool, console: Console) -> Display:
    """The display that fits: none, a live one on a terminal, or plain lines."""
    if quiet:
        return Quiet()
    if console.is_terminal:
        return Live(console)
    return Lines(lambda line: print(line, file=console.file, flush=True))
