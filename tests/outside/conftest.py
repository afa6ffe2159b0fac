"""A package outside fedseed that brings a protocol and a seed kind, installed as pip does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which ``examples/protocol_from_outside`` was installed by pip."""
    folder = tmp_path_factory.mktemp("outside")
    source, target = folder / "source", folder / "site-packages"
    shutil.copytree(ROOT / "examples" / "protocol_from_outside", source)
    words = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", str(target), str(source)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def environment(installed: Path) -> dict[str, str]:
    """The environment of a process where the package is installed."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}


@pytest.fixture
def script(environment: dict[str, str]) -> Script:
    """Run a script, or a module with ``-m``, where the package is installed."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
        )

    return run
