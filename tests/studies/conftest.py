"""Options of studies that take seconds, and a way to run them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedseed.studies.base import Study, study_command

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def options(reviews: Path) -> dict[str, Any]:
    """Options that all studies share."""
    return {
        "data": str(reviews), "max_length": 16, "test_examples": 20, "repeats": 2,
        "original_steps": 12, "workers": 1,
    }  # fmt: skip


def runner(options: dict[str, Any], folder: Path) -> Run:
    """A function that runs a study in this process, below a folder; returns its record."""

    def run(kind: type[Study], out: str = "run", **changes: Any) -> dict[str, Any]:
        console = Console(quiet=True)
        return study_command(kind, options | changes, str(folder / out), None, True, console)

    return run


@pytest.fixture
def run(options: dict[str, Any], tmp_path: Path) -> Run:
    """Run a study below the test's own folder."""
    return runner(options, tmp_path)


def lasting(record: Any) -> Any:
    """A record without what differs from run to run: times, memory, the machine."""
    fleeting = {"seconds", "started", "wall_seconds", "peak_memory_bytes", "machine", "costs"}
    if isinstance(record, dict):
        return {name: lasting(value) for name, value in record.items() if name not in fleeting}
    return [lasting(value) for value in record] if isinstance(record, list) else record
