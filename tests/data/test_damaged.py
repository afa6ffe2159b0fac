"""Damaged tables and settings are read or refused in one line without a cell; more: benchmarks."""

from pathlib import Path

import pytest

from benchmarks.mutations_tables import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_read_or_refused(kind: str, tmp_path: Path) -> None:
    counts = run(kind, 300, 1, tmp_path)
    assert counts["failed"] == 0
    assert min(counts["read"], counts["refused"]) > 10
