"""What a run shows while it runs: a live bar on a terminal, plain lines elsewhere."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class RoundFigures:
    """What a finished round comes down to."""

    replies: int
    """Usable ones."""
    clients: int
    what: str
    """``training loss``, or ``validation loss`` where recipes were tried."""
    losses: tuple[float, ...]
    down: int
    """Bytes of all payloads."""
    up: int

    @classmethod
    def of(cls, result: Any) -> "RoundFigures":
        """Those of a RoundResult."""
        metrics = [one["metrics"] for one in result.clients if one["status"] == "ok"]
        tried = any("recipes" in one for one in metrics)
        loss = "validation_loss" if tried else "train_loss"
        trials = [trial for one in metrics for trial in one.get("recipes", [one])]
        losses = tuple(trial[loss] for trial in trials if trial.get(loss) is not None)
        sizes = result.bytes["payload_bytes"]
        what = "validation loss" if tried else "training loss"
        return cls(len(metrics), len(result.clients), what, losses, sizes["down"], sizes["up"])


def round_line(result: Any) -> str:
    """One line about a finished round: replies, losses and bytes."""
    one = RoundFigures.of(result)
    losses = one.losses
    span = f"{one.what} {min(losses):.3f} to {max(losses):.3f}" if losses else "no loss"
    return (
        f"round {result.round}: {one.replies} of {one.clients} clients, {span}, "
        f"payload {one.down:,} B down, {one.up:,} B up"
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
