"""``python -m fedseed``: records and seeds, looked at."""

from pathlib import Path

import pytest

from fedseed.__main__ import app
from fedseed.cli import run_app
from fedseed.seeds.codec import write_seed
from fedseed.seeds.random import random_seed

OFFICIAL = Path(__file__).parents[2] / "results" / "official"


@pytest.mark.parametrize("path", sorted(OFFICIAL.glob("federated*/record.json")), ids=str)
def test_official_records_can_be_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["show", str(path)]) == 0
    out = capsys.readouterr().out
    assert "aggregated: newcomers" in out
    assert "majority" in out


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_seed(tmp_path / "a.fseed", random_seed("bert-tiny", 2, 5, "scaled"))
    assert run_app(app, ["inspect", str(tmp_path / "a.fseed")]) == 0
    out = capsys.readouterr().out
    assert "scheme: scaled" in out
    assert "bytes: 50, payload 9" in out


@pytest.mark.parametrize("words", [["show", "none.json"], ["inspect", "none.fseed"], ["dance"]])
def test_bad_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, words) == 2
    assert capsys.readouterr().err.count("\n") == 1
