"""Whole runs for tests: what lasts of a record, and the command line of a run."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., dict[str, Any]]


def lasting(record: dict[str, Any]) -> dict[str, Any]:
    """A record without time and machine."""
    out: dict[str, Any] = json.loads(json.dumps(record))
    for name in ("machine", "started", "wall_seconds", "peak_memory_bytes"):
        del out["provenance"][name]
    for result in out["rounds"]:
        del result["seconds"]
    return out


def command_line(small: dict[str, Any], out: Path, **changes: Any) -> list[str]:
    options = small | changes | {"out": out}
    flags = [w for k, v in options.items() for w in ("--" + k.replace("_", "-"), str(v))]
    script = Path(__file__).parents[2] / "simulations" / "run_fed.py"
    return [sys.executable, str(script), *flags]


def killed(words: list[str], out: Path, exchanges: int) -> Path:
    """Start a run and kill it after some exchanges; returns its transcript."""
    transcript = out / "transcript.jsonl"
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            if transcript.exists() and transcript.read_bytes().count(b"\n") >= exchanges:
                process.kill()
                break
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL
    return transcript
