"""The output folder of a run: made, locked, or taken up again."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedseed.errors import OutputError
from fedseed.results.record import read_record

RECORD, TRANSCRIPT, STATE = "record.json", "transcript.jsonl", "clients"
CHECKPOINT = "server.bin"
_LOCK = ".lock"


def default_folder(kind: str) -> Path:
    """``results/scratch/<kind>-<time>/`` below the current folder."""
    return Path("results") / "scratch" / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def make_folder(path: Path) -> Path:
    """Make the folder of a new run.

    Raises:
        OutputError: it cannot be made or written, or holds a run already.
    """
    try:
        if (path / RECORD).exists() or (path / TRANSCRIPT).exists():
            raise OutputError(f"{path} holds a run already: choose another --out, or --resume it")
        path.mkdir(parents=True, exist_ok=True)
        (path / _LOCK).touch()
    except OSError as error:
        raise OutputError(f"cannot write --out {path}: {error.strerror}") from error
    return path


def interrupted_run(path: Path, kind: str = "federated") -> dict[str, Any]:
    """The record of a run of some kind that can go on.

    Raises:
        OutputError: there is no run in the folder, or it is finished.
    """
    if not os.path.isfile(path / RECORD):
        raise OutputError(f"--resume {path}: there is no {RECORD}: give the --out of a run")
    record = read_record(path / RECORD)
    whole = {"status", "config", "provenance"} <= record.keys()
    if not whole or record.get("kind") != kind or "machine" not in record["provenance"]:
        raise OutputError(f"--resume {path}: its {RECORD} is not that of a run of kind {kind}")
    if record["status"] == "completed":
        raise OutputError(f"--resume {path}: that run is complete; nothing is left to do")
    return record


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs, also after a kill.

    Raises:
        OutputError: another run is at work there.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (path / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"another run is writing {path}: wait for it") from error
        try:
            yield
        finally:
            (path / _LOCK).unlink(missing_ok=True)
