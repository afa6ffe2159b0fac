"""Where a record comes from: code, packages, machine, memory."""

import importlib.metadata
import os
import platform
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from fedseed.errors import OutputError
from fedseed.machine import usable_cores
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import describe

PACKAGES = ("flwr", "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy")


def repository() -> Path:
    """The folder that holds the package: the repository's root in a checkout."""
    return Path(__file__).resolve().parents[2]


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            ["git", "-C", str(repository()), *arguments],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def code() -> dict[str, Any]:
    """Commit of the checkout, and whether tracked files differ from it; null outside git."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if commit is None else bool(status)}


def own_version() -> str:
    """Of fedseed as it is installed; empty where it is not."""
    try:
        return importlib.metadata.version("fedseed")
    except importlib.metadata.PackageNotFoundError:
        return ""


def packages() -> dict[str, str]:
    """Versions of the packages that decide results."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def cpu_name() -> str:
    """What the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(
    engine: str, workers: int, device: str = "cpu", precision: str = "fp32"
) -> dict[str, Any]:
    """Cores that the run could use, processor and how the run used them."""
    return {
        "cores": usable_cores(), "cpu": cpu_name(), "device": device, "precision": precision,
        "kernels": kernels(), "engine": engine, "workers": workers,
    }  # fmt: skip


def describe_seed(seed: Seed) -> dict[str, Any]:
    """What a seed says, without its content; a record's ``kind`` is another thing."""
    about = dict(describe(seed))
    return {"seed_kind": about.pop("kind"), **about}


def kernels() -> str:
    """What of this machine's trains: compiled kernels of some sources, or torch's operators."""
    from fedseed.training.kernels import are_available, version  # imports torch

    return f"compiled ({version()[:12]})" if are_available() else "torch"


def refuse_other_kernels(past: dict[str, Any]) -> None:
    """Refuse to go on with other kernels, whose results differ in their last digits.

    Args:
        past: what :func:`machine` returned when the run began; older versions had none compiled.

    Raises:
        OutputError: this machine's are others.
    """
    then = past.get("kernels", "torch")
    if kernels() != then:
        raise OutputError(
            f"--resume: the run began with {then} kernels, this machine has {kernels()} ones: "
            "install fedseed as it was then, or start the run again"
        )


def _memory(pid: int) -> int:
    """Proportional set size of one process, bytes: shared pages are counted once."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


class PeakMemory:
    """Samples the memory of this process and all below it, as a context manager."""

    def __init__(self, interval: float = 0.5) -> None:
        """Sample every ``interval`` seconds."""
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.bytes = 0

    def sample(self) -> None:
        """Take a sample now."""
        try:
            pids = [os.getpid(), *(c.pid for c in psutil.Process().children(recursive=True))]
        except psutil.Error:
            pids = [os.getpid()]
        self.bytes = max(self.bytes, sum(_memory(pid) for pid in pids))

    def _watch(self) -> None:
        wait = self._interval
        while not self._stop.wait(wait):
            started = time.perf_counter()
            self.sample()
            # Reading the sizes of large processes is slow: never more than 2 % of the time.
            wait = max(self._interval, 50 * (time.perf_counter() - started))

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.sample()
        self._stop.set()
        self._thread.join()
