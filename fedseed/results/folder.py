"""The output folder of a run: made, locked, or taken up again."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fedseed.errors import OutputError
from fedseed.results.record import SCHEMA, read_as_written

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
        OutputError: there is no run in the folder, it is finished, or an older version of fedseed
            began it.
    """
    if not os.path.isfile(path / RECORD):
        raise OutputError(f"--resume {path}: there is no {RECORD}: give the --out of a run")
    record = read_as_written(path / RECORD)
    if not _is_whole(record) or record.get("kind") != kind:
        raise OutputError(f"--resume {path}: its {RECORD} is not that of a run of kind {kind}")
    if record["status"] == "completed":
        raise OutputError(f"--resume {path}: that run is complete; nothing is left to do")
    if record["schema"] != SCHEMA:
        raise OutputError(
            f"--resume {path}: an older version of fedseed began that run: start it again"
        )
    return record


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record has what taking a run up needs."""
    if not all(isinstance(record.get(name), dict) for name in ("config", "provenance")):
        return False
    machine = record["provenance"].get("machine")
    return (
        "status" in record
        and isinstance(machine, dict)
        and {"engine", "precision", "device"} <= machine.keys()
    )


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
        if not _is_the_file(lock, path / _LOCK):  # the run that held it has just removed it
            raise OutputError(f"another run was writing {path} until now: try again")
        try:
            yield
        finally:
            (path / _LOCK).unlink(missing_ok=True)


def _is_the_file(opened: IO[str], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False
