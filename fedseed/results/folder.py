"""The output folder of a run: what is in it, and one run at a time."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fedseed.errors import OutputError

RECORD, TRANSCRIPT, STATE = "record.json", "transcript.jsonl", "clients"
CHECKPOINT, CELLS = "server.bin", "cells.jsonl"
OPTIONS = "options.json"
_LOCK = ".lock"


def default_folder(kind: str) -> Path:
    """``results/scratch/<kind>-<time>/`` below the current folder."""
    return Path("results") / "scratch" / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def make_folder(path: Path) -> Path:
    """Make the folder of a new run that nobody will take up.

    Raises:
        OutputError: it cannot be made or written, or holds a run already.
    """
    try:
        refuse_a_run(path)
        path.mkdir(parents=True, exist_ok=True)
        (path / _LOCK).touch()
    except OSError as error:
        raise OutputError(f"cannot write --out {path}: {error.strerror}") from error
    return path


def refuse_a_run(path: Path) -> None:
    """Refuse to begin a run where another has left something.

    Raises:
        OutputError: a run has.
    """
    if (path / RECORD).exists() or (path / TRANSCRIPT).exists():
        raise OutputError(f"{path} holds a run already: choose another --out, or --resume it")


def is_begun(path: Path) -> bool:
    """Whether a run began in a folder, which ``--resume`` takes up."""
    return os.path.isfile(path / OPTIONS) or os.path.isfile(path / RECORD)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs, also after a kill.

    Raises:
        OutputError: another run is at work there, or the folder cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    try:
        opened = (path / _LOCK).open("w")
    except OSError as error:
        raise OutputError(f"cannot write --out {path}: {error.strerror}") from error
    with opened as lock:
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
