"""The cells of a study: independent measurements, kept as they finish, run by worker processes.

A cell's result depends on the study's configuration and the cell's arguments alone, so that
neither the number of workers nor an interruption changes it. Finished cells stand in
``cells.jsonl``, one a line, until the study's record holds them.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from fedseed.errors import OutputError, RunError
from fedseed.federation.workers import worker_context
from fedseed.results.folder import CELLS

Work = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Measures one cell, given the configuration as JSON and the cell's arguments; a function of a
module, because workers find it by its name."""
Progress = Callable[[float, float, str], None]
"""Called with the cost done, the cost in all, and a line about the cell that has just ended."""


@dataclass(frozen=True)
class Cell:
    """One measurement of a study."""

    name: str
    """Unique in the study; shown, and the key under which the result is kept."""
    cost: float
    """About how long it takes, in training steps, for the time left and the order."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What to measure: JSON values."""


def read_cells(folder: Path) -> dict[str, dict[str, Any]]:
    """Results that an earlier run of the study has kept, by the cell's name."""
    try:
        lines = (folder / CELLS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    results: dict[str, dict[str, Any]] = {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a line cut off by a kill
            kept = json.loads(line)
            results[kept["cell"]] = kept["result"]
    return results


def _keep(folder: Path, name: str, result: Mapping[str, Any]) -> None:
    line = json.dumps({"cell": name, "result": result}, allow_nan=False)
    try:
        with (folder / CELLS).open("a", encoding="utf-8") as file:
            file.write("\n" + line)  # a line cut off before stays a line of its own
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(
            f"cannot write {folder / CELLS}: {error.strerror}; make room, then --resume {folder}"
        ) from error


def run_cells(
    cells: Iterable[Cell],
    work: Work,
    config_json: str,
    folder: Path,
    workers: int,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """Measure all cells that are not kept yet; returns every result by name.

    Args:
        cells: what to measure.
        work: measures one cell.
        config_json: the study's configuration.
        folder: the study's output folder.
        workers: processes of one thread each; 1 measures in this process.
        progress: called after every cell.

    Raises:
        FedseedError: a cell cannot be measured; what is finished stays kept.
        RunError: a worker died.
    """
    everything = list(cells)
    results = read_cells(folder)
    total = sum(cell.cost for cell in everything)
    missing = [cell for cell in everything if cell.name not in results]
    done = total - sum(cell.cost for cell in missing)

    def finished(cell: Cell, result: dict[str, Any]) -> None:
        nonlocal done
        _keep(folder, cell.name, result)
        results[cell.name] = result
        done += cell.cost
        progress(done, total, cell.name)

    if workers == 1 or len(missing) < 2:
        for cell in missing:
            finished(cell, measure(work, config_json, cell.arguments))
    else:
        _run_parallel(missing, work, config_json, min(workers, len(missing)), finished)
    return {cell.name: results[cell.name] for cell in everything}


def _run_parallel(
    missing: list[Cell],
    work: Work,
    config_json: str,
    workers: int,
    finished: Callable[[Cell, dict[str, Any]], None],
) -> None:
    # The longest first, so that no worker is left alone with one at the end.
    order = sorted(missing, key=lambda cell: -cell.cost)
    pool = ProcessPoolExecutor(workers, mp_context=worker_context())
    try:
        running: dict[Future[dict[str, Any]], Cell] = {
            pool.submit(measure, work, config_json, dict(cell.arguments)): cell for cell in order
        }
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                finished(running.pop(future), future.result())
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process died (killed, or out of memory): --resume the study"
        ) from (error)
    finally:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


def measure(work: Work, config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell on one thread, and note how long it took."""
    import torch

    torch.set_num_threads(1)
    started = time.monotonic()
    with threadpool_limits(1):  # other numbers of threads round differently
        result = work(config_json, arguments)
    return {**result, "seconds": round(time.monotonic() - started, 3)}
