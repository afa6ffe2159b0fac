"""Rounds for TensorBoard: losses, accuracies and bytes as its own files, while a run goes on."""

from pathlib import Path
from typing import Any

from fedseed.errors import ConfigError
from fedseed.results.display import Display, RoundFigures, Workload
from fedseed.transcript import Exchange


class ForTensorBoard(Display):
    """Writes every finished round to a folder, and shows what another display shows."""

    def __init__(self, shown: Display, folder: Path) -> None:
        """Write to a folder.

        Args:
            shown: gets everything too.
            folder: made when it is missing; ``tensorboard --logdir FOLDER`` reads it.

        Raises:
            ConfigError: the package tensorboard is missing.
        """
        super().__init__()
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "--tensorboard needs a package: pip install 'fedseed[tensorboard]'"
            ) from error
        make: Any = SummaryWriter
        self._writer, self._shown = make(str(folder)), shown
        self._waiting: Any = None

    def start(self, workload: Workload) -> None:
        """See :class:`Display`."""
        super().start(workload)
        self._shown.start(workload)

    def exchanged(self, exchange: Exchange, contents: str = "") -> None:
        """See :class:`Display`."""
        self._shown.exchanged(exchange, contents)  # which counts it in the workload

    def show_exchange(self, exchange: Exchange, line: str) -> None:
        """See :class:`Display`."""
        self._shown.show_exchange(exchange, line)

    def round_done(self, result: Any) -> None:
        """See :class:`Display`: a round is written when the next is done, with its test."""
        self._write()
        self._waiting = result
        self._shown.round_done(result)

    def _write(self) -> None:
        result, self._waiting = self._waiting, None
        if result is None:
            return
        one, test = RoundFigures.of(result), result.measured.get("test")
        figures: dict[str, float] = {
            "clients/usable": one.replies, "clients/asked": one.clients,
            "payload bytes/down": one.down, "payload bytes/up": one.up,
            "time/seconds": result.seconds,
        }  # fmt: skip
        if one.losses:
            figures[f"{one.what}/mean"] = sum(one.losses) / len(one.losses)
            figures[f"{one.what}/smallest"] = min(one.losses)
            figures[f"{one.what}/largest"] = max(one.losses)
        if test is not None:
            figures["test accuracy/value"] = test["value"]
            figures["test accuracy/low"], figures["test accuracy/high"] = test["ci95"]
        for name, value in figures.items():
            self._writer.add_scalar(name.replace(" ", "_"), value, result.round)
        self._writer.flush()

    def phase(self, text: str) -> None:
        """See :class:`Display`."""
        self._shown.phase(text)

    def tokenising(self, done: int, total: int) -> None:
        """See :class:`Display`."""
        self._shown.tokenising(done, total)

    def original(self, step: int, steps: int) -> None:
        """See :class:`Display`."""
        self._shown.original(step, steps)

    def progress(self, what: str, done: float, total: float, note: str) -> None:
        """See :class:`Display`."""
        self._shown.progress(what, done, total, note)

    def stop(self) -> None:
        """See :class:`Display`."""
        self._write()
        self._writer.close()
        self._shown.stop()
