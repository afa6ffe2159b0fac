"""Fixture: a run with small options."""

from pathlib import Path
from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.results.display import Quiet
from fedseed.results.folder import locked, make_folder
from fedseed.runs.command import run_plan
from fedseed.runs.plan import make_plan
from tests.federation.running import Run


@pytest.fixture(autouse=True)
def _identity() -> None:
    """What Flower asks for before it makes a message, whichever test comes first."""
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


@pytest.fixture
def run(small: dict[str, Any], tmp_path: Path) -> Run:
    """Run with the small options and some changes; returns the record."""
    count = iter(range(100))

    def go(**changes: Any) -> dict[str, Any]:
        folder = tmp_path / f"run{next(count)}"
        plan = make_plan(RunConfig.parse(small | changes))
        with locked(make_folder(folder)):
            return run_plan(plan, folder, Quiet())

    return go
