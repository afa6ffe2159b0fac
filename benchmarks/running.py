"""Start a command, note when its lines come, and sum several runs up."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Finished:
    """What a command printed, and when: seconds since it was started."""

    lines: list[tuple[float, str]]
    seconds: float

    def first(self, start: str) -> float:
        """Seconds until the first line that starts so."""
        for when, line in self.lines:
            if line.startswith(start):
                return when
        raise RuntimeError(f"no line starts with {start!r}")

    def events(self) -> list[dict[str, Any]]:
        """The lines that are events (see workload.emit), with ``seconds`` since the start."""
        events: list[dict[str, Any]] = []
        for when, line in self.lines:
            if line.startswith('{"event"'):
                events.append(json.loads(line) | {"seconds": when})
        return events


def run(words: Sequence[str]) -> Finished:
    """Run Python with these words, in the repository.

    Raises:
        RuntimeError: it failed; with the end of what it wrote.
    """
    # Whatever the caller set for itself must not decide how the systems use the cores.
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS",)}
    environment["PYTHONPATH"] = str(ROOT)
    started = time.perf_counter()
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            lines.append((time.perf_counter() - started, line.rstrip("\n")))
        status = process.wait()
    if status:
        end = "\n".join(line for _, line in lines[-15:])
        raise RuntimeError(f"{' '.join(words)} ended with status {status}:\n{end}")
    return Finished(lines, time.perf_counter() - started)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest, largest and number of some measurements."""
    return {
        "median": round(statistics.median(values), 4), "min": round(min(values), 4),
        "max": round(max(values), 4), "n": len(values),
    }  # fmt: skip
