"""The guide's grown model is the official record's."""

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.results.grown import verdict
from fedseed.results.record import read_record
from tests.docs.pages import OFFICIAL, ROOT

PAGE = (ROOT / "docs" / "guide" / "own-data.md").read_text(encoding="utf-8")
RECORD = OFFICIAL / "grown-sentences" / "record.json"


def test_the_verdict() -> None:
    record = read_record(RECORD)
    assert "\n".join(verdict(record)) in PAGE
    results = record["results"]
    learnt = results["train_examples"] + results["validation_examples"]
    assert f"had {learnt:,} to learn from" in PAGE
    assert results["alone"]["value"] > results[results["chosen"]]["value"]


def test_it_can_be_shown(capsys) -> None:  # type: ignore[no-untyped-def]
    assert run_app(app, ["show", str(RECORD)]) == 0
    assert "73 of 100 of your texts" in capsys.readouterr().out
