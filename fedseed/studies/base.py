"""A study as a command: options, folder, cells, record, table and figure."""

import functools
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from rich.console import Console

from fedseed.data.federated_dataset import open_dataset, subset
from fedseed.data.options import task_name
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import OutputError
from fedseed.federation.workers import count_cores
from fedseed.files import write_text
from fedseed.results.display import Display
from fedseed.results.fitting import FittingMarkdown
from fedseed.results.folder import CELLS, RECORD, REPORT, default_folder, is_begun
from fedseed.results.live import make_display
from fedseed.results.markdown import DETAILS
from fedseed.results.provenance import (
    PeakMemory,
    code,
    machine,
    packages,
    refuse_other_kernels,
)
from fedseed.results.record import RunRecord
from fedseed.runs.original import describe_dataset
from fedseed.runs.resume import run_folder
from fedseed.studies.cells import Cell, Work, read_cells, run_cells
from fedseed.studies.description import StudyDescription
from fedseed.studies.options import StudyOptions
from fedseed.studies.page import study_report
from fedseed.training.precision_and_device import choose

TABLE, FIGURE = "table.md", "figure.png"


class Study(ABC):
    """Measurements that make one table: how to measure, and what comes out."""

    about: ClassVar[StudyDescription]

    def __init__(self, config: Any) -> None:
        """Prepare a study with its resolved configuration."""
        self.config = config

    @property
    @abstractmethod
    def work(self) -> Work:
        """The function that measures a cell."""

    @abstractmethod
    def prepare(self, display: Display) -> None:
        """Make what the cells share (tokens, the original) while the user sees how far it is.

        Raises:
            InputError: what was asked for cannot be done.
        """

    def provenance(self) -> dict[str, Any]:
        """What else the record says about where its figures come from."""
        return {"dataset": describe_dataset(dataset_of(self.config))}

    def protocols(self) -> dict[str, dict[str, Any]] | None:
        """Descriptions of the protocols that the study runs, by name; None of one without any."""
        return None

    @abstractmethod
    def cells(self) -> list[Cell]:
        """Everything to measure."""

    @abstractmethod
    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The record's results, from the cells' by name."""

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Self:
        """Make a study of option values.

        Raises:
            ConfigError: an unknown name or an impossible value.
        """
        return cls(cls.about.options_class.parse(given).with_quick())


@functools.lru_cache(maxsize=1)
def dataset_of(config: StudyOptions) -> Dataset:
    """The data set of a study, opened once for each process."""
    return open_dataset(config)


def tested_rows(config: StudyOptions, dataset: Dataset) -> Rows:
    """The common test split, or the fixed subset that the options ask for."""
    return subset(dataset, dataset.test, config.test_examples)


def study_command(
    kind: type[Study],
    given: Mapping[str, Any],
    out: str | None,
    resume: str | None,
    quiet: bool,
    console: Console,
) -> dict[str, Any]:
    """Run a study, or go on with an interrupted one; returns its record.

    Args:
        kind: which study.
        given: option values by name; with ``resume`` only what differs in execution is needed.
        out: the output folder; a new one below results/scratch when None.
        resume: the folder of an interrupted run, in which a run with these options begins when
            there is none; None to begin a run in any case.
        quiet: print only the table.
        console: where to print.

    Raises:
        FedseedError: see there.
    """
    folder = Path(resume or out or default_folder(kind.about.kind))
    display = make_display(quiet, console)
    try:
        about = kind.about
        with run_folder(
            folder, about.kind, given, about.options_class, resume is not None
        ) as begun:
            study = kind.from_options(begun.options)
            record = run_study(study, folder, display, begun.record)
    except KeyboardInterrupt:
        if is_begun(folder):
            print(f"interrupted: go on with --resume {folder}", file=sys.stderr)
        raise
    finally:
        display.stop()
    brief, _, more = kind.about.make_table(record).partition(DETAILS)
    console.print(FittingMarkdown(brief))
    rest = f"; the rest of the table: {folder / TABLE}" if more else ""
    line = f"record, table and figure: {folder}{rest}; the report: {folder / REPORT}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    return record


def run_study(
    study: Study, folder: Path, display: Display, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Measure what is missing in a folder, and write record, table and figure.

    Args:
        study: what to measure.
        folder: exists, and is locked for this run.
        display: shows what happens.
        before: the interrupted run's record.

    Raises:
        OutputError: the data, the code's results or the folder do not allow to go on.
    """
    config, clock = study.config, time.monotonic()
    study.prepare(display)
    workers = count_cores(config.workers)
    past = {} if before is None else before["provenance"]
    record = _begun(study, workers, past)
    record.write(folder / RECORD)
    display.phase(f"{workers} worker(s), writing to {folder}")
    cells, began = study.cells(), time.monotonic()
    kept = read_cells(folder)
    first = sum(cell.cost for cell in cells if cell.name in kept)

    def note_time() -> None:
        seconds = time.monotonic() - clock + past.get("wall_seconds", 0.0)
        record.provenance["wall_seconds"] = round(seconds, 3)

    def report(done: float, total: float, name: str) -> None:
        # What an earlier run has done took no time now.
        rate = (time.monotonic() - began) / max(1e-9, done - first)
        left = round(rate * (total - done))
        note_time()
        record.write(folder / RECORD)
        display.progress("cells", done, total, f"{left // 60}:{left % 60:02d} left, {name}")

    with PeakMemory() as memory:
        measured = run_cells(cells, study.work, config.model_dump_json(), folder, workers, report)
    record.results = study.results(measured)
    record.status = "completed"
    note_time()
    most = max(memory.bytes, past.get("peak_memory_bytes", 0))
    record.provenance["peak_memory_bytes"] = most
    return _written(study, record, folder)


def _written(study: Study, record: RunRecord, folder: Path) -> dict[str, Any]:
    """Write figure, table, report and record of a measured study; returns the record."""
    finished = record.to_dict()
    study.about.draw(finished, folder / FIGURE)
    write_text(folder / TABLE, study.about.make_table(finished))
    write_text(folder / REPORT, study_report(study.about, finished))
    record.write(folder / RECORD)  # last: a completed record has everything beside it
    (folder / CELLS).unlink(missing_ok=True)
    return finished


def _begun(study: Study, workers: int, past: Mapping[str, Any]) -> RunRecord:
    """The record before its results; ``past`` is the provenance of a run that is resumed."""
    decides = study.provenance()
    record = RunRecord(
        kind=study.about.kind,
        config=study.config.for_record(),
        provenance={
            **code(), "packages": packages(), "machine": machine("local", workers),
            **decides,
            "started": past.get("started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        },
        protocols=study.protocols(),
        task=task_name(study.config.data) if "dataset" in decides else None,
    )  # fmt: skip
    record.provenance["machine"]["precision"] = choose(study.config.precision).precision
    if past:
        _refuse_changes(past, record.provenance, set(decides))
    return record


def _refuse_changes(past: Mapping[str, Any], now: Mapping[str, Any], decides: set[str]) -> None:
    """Refuse to put cells of different data, weights, seeds or libraries into one record."""
    for name in sorted(decides | {"packages"}):
        if past.get(name) != now.get(name):
            words = name.replace("_", " ")
            raise OutputError(f"--resume: the {words} changed since the run began: start it again")
    if past["machine"]["precision"] != now["machine"]["precision"]:
        raise OutputError(
            f"--resume: the run computed in {past['machine']['precision']}, this machine would go "
            f"on in {now['machine']['precision']}: give --precision, or start the run again"
        )
    refuse_other_kernels(past["machine"])
