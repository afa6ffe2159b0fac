"""The output folder of a run: what is in it, and one run at a time."""

import contextlib
import errno
import hashlib
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fedseed.errors import OutputError
from fedseed.machine import private_folder

RECORD, TRANSCRIPT, STATE = "record.json", "transcript.jsonl", "clients"
CHECKPOINT, CELLS = "server.bin", "cells.jsonl"
OPTIONS = "options.json"
REPORT = "report.html"
_LOCK = ".lock"
_HELD = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
"""What the system says of a lock that another process has."""


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

    Where the file system has no locks, a file in this user's temporary folder is locked instead:
    that keeps out runs of the same machine.

    Raises:
        OutputError: another run is at work there, the folder cannot be written, or nothing can be
            locked.
    """
    if importlib.util.find_spec("fcntl") is None:  # not on Windows
        yield
        return
    opened = _opened(path / _LOCK, path)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(opened)
        if not _take(lock, path):
            _take_elsewhere(stack, path)
        if not _is_the_file(lock, path / _LOCK):  # the run that held it has just removed it
            raise OutputError(f"another run was writing {path} until now: try again")
        try:
            yield
        finally:
            (path / _LOCK).unlink(missing_ok=True)


def _opened(lock: Path, path: Path) -> IO[str]:
    try:
        return lock.open("w")
    except OSError as error:
        raise OutputError(f"cannot write --out {path}: {error.strerror}") from error


def _take(lock: IO[str], path: Path) -> bool:
    """Lock an open file; returns False where the file system has no locks.

    Raises:
        OutputError: another run has locked it.
    """
    import fcntl

    for take in (fcntl.flock, fcntl.lockf):  # some network file systems have the second alone
        try:
            take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise OutputError(f"another run is writing {path}: wait for it") from error
        else:
            return True
    return False


def _take_elsewhere(stack: contextlib.ExitStack, path: Path) -> None:
    """Lock a file that stands for a folder, until the stack is closed."""
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    stand_in = private_folder() / f"{name}.lock"
    lock = stack.enter_context(_opened(stand_in, path))
    if not _take(lock, path):
        raise OutputError(
            f"neither {path} nor {stand_in.parent} is on a file system that can lock files: choose "
            "another --out or TMPDIR"
        )
    print(
        f"{path} is on a file system that cannot lock files: only runs of this machine are kept "
        "out of it",
        file=sys.stderr,
    )


def _is_the_file(opened: IO[str], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False
