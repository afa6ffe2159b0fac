"""How worker processes start.

Light to import, so that a command can start the workers' server before it imports anything
heavy itself: both then import side by side.
"""

import multiprocessing
import multiprocessing.forkserver
import os
from multiprocessing.context import ForkServerContext, SpawnContext


def worker_context() -> SpawnContext | ForkServerContext:
    """Forked from a server that has imported everything once; where there is none, afresh."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fedseed.federation.preload"])
    return context


def start_early() -> None:
    """Start the server that workers are forked from; it imports in the background."""
    if isinstance(worker_context(), ForkServerContext):
        multiprocessing.forkserver.ensure_running()


def count_cores(workers: str) -> int:
    """Worker processes that an option asks for: a number, or ``auto`` for one a usable core."""
    if workers != "auto":
        return int(workers)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1
