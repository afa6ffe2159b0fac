"""The same study without a network, in a simulation."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cluster import Cell


def simulate(options: Mapping[str, Cell], folder: Path) -> Path:
    """Run a study in a simulation.

    Args:
        options: as ``flwr run`` takes them.
        folder: a new one, for what it writes.

    Returns:
        Its record.

    Raises:
        RuntimeError: it did not end well.
    """
    command = [sys.executable, "-m", "fedseed", "run", "--quiet", "--out", str(folder)]
    for name, value in options.items():
        command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"the simulation ended with {done.returncode}: {done.stderr[-300:]}")
    return folder / "record.json"


def simulate_sites(options: Mapping[str, Cell], sites: Path, folder: Path) -> Path:
    """Run a study of sites in one process, which opens all their files.

    Args:
        options: as ``flwr run`` takes them.
        sites: the folder with a folder for each site.
        folder: a new one, for what it writes; another beside it gets the sites' files.

    Returns:
        Its record.

    Raises:
        RuntimeError: it did not end well.
    """
    together = folder.with_name(f"{folder.name}-sites")
    together.mkdir()
    for file in sites.glob("*/*"):
        shutil.copy(file, together)
    return simulate({**options, "data": f"sites:{together}"}, folder)
