"""Runs that are killed at random moments, each with all its processes; 60 kills: benchmarks."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.kills import PHASES, kill_runs, show


def test_killed_runs_end_with_the_undisturbed_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDSEED_CACHE", str(tmp_path / "cache"))
    output = io.StringIO()
    console = Console(file=output, width=160)
    series = kill_runs(2, tmp_path, console)
    assert [one.kills for one in series] == [1, 1]
    assert {one.workers for one in series} == {1, 2}
    assert [one.differences for one in series] == [[], []]
    show(series, console)
    assert all(phase in output.getvalue() for phase in PHASES)
