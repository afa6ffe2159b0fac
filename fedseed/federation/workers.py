"""How worker processes start.

Light to import, so that a command can start the workers' server before it imports anything
heavy itself: both then import side by side.
"""

import contextlib
import gc
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.util
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.context import ForkServerContext, SpawnContext

from fedseed.machine import has_home, short_temporary_folder, usable_cores

_LONGEST = 64
"""Bytes of a folder's path within which the name of a socket fits the 104 of some systems."""


def worker_context() -> SpawnContext | ForkServerContext:
    """Forked from a server that has imported everything once; where there is none, afresh."""
    if "forkserver" not in multiprocessing.get_all_start_methods() or not _can_listen():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fedseed.federation.preload"])
    return context


def _can_listen() -> bool:
    """Whether a server can have a socket: its folder is made here, where its path is short."""
    base = short_temporary_folder(_LONGEST)
    if base is None:
        return False
    usual, tempfile.tempdir = tempfile.tempdir, str(base)
    try:
        multiprocessing.util.get_temp_dir()  # made once, for this user alone, and remembered
    except OSError:
        return False
    finally:
        tempfile.tempdir = usual
    return True


def start_early() -> None:
    """Start the server that workers are forked from; it imports in the background.

    It does nothing for a user without a home folder, who is to get one first.
    """
    if has_home() and isinstance(worker_context(), ForkServerContext):
        multiprocessing.forkserver.ensure_running()


def asks_for_workers(words: Sequence[str]) -> bool:
    """Whether a command line that nobody has read yet is that of a run in worker processes.

    A guess, for :func:`start_early`: a run gets its workers in any case.

    Args:
        words: the arguments, without the program's name.

    Returns:
        False also where a file decides (``--config``, ``--resume``).
    """
    text = " ".join(words).replace("=", " ") + " "
    others = ("--help ", "--dry-run ", "--config ", "--resume ", "--workers 1 ", "--engine ray ")
    return not any(flag in text for flag in (*others, "--device cuda"))


@contextlib.contextmanager
def heavy_imports() -> Iterator[None]:
    """Import torch and Flower a tenth faster: no search for garbage among what they define."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def count_cores(workers: str) -> int:
    """Worker processes that an option asks for: a number, or ``auto`` for one a usable core."""
    return usable_cores() if workers == "auto" else int(workers)
