"""A whole run on a console that lacks letters, and is narrow."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.federated import run_federated

POSITIVE, NEGATIVE = "正面", "负面"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table whose name, texts and classes are Chinese."""
    path = tmp_path / "评论.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(80):
            writer.writerow([f"film {row} 很好", POSITIVE if row % 2 else NEGATIVE])
    return path


def run_on_ascii(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr of a command whose console shows ASCII alone, 40 columns wide."""
    streams = io.BytesIO(), io.BytesIO()
    monkeypatch.setenv("COLUMNS", "40")
    with monkeypatch.context() as patch:
        for name, below in zip(("stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, io.TextIOWrapper(below, "ascii", "strict", write_through=True))
        status = run_federated(words)
        out, error = (below.getvalue().decode("ascii") for below in streams)
    return status, out, error


def words(small: dict[str, Any], table: Path) -> list[str]:
    options = small | {"data": table, "rounds": 1}
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


def test_a_run(
    small: dict[str, Any], table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "结果"
    status, text, _ = run_on_ascii(monkeypatch, [*words(small, table), f"--out={out}"])
    assert status == 0
    assert "test examples: 8 ??, 8 ??" in text
    assert "/??/report.html" in text
    record = json.loads((out / "record.json").read_text(encoding="utf-8"))
    assert set(record["provenance"]["dataset"]["classes"]) == {POSITIVE, NEGATIVE}


def test_a_plan(small: dict[str, Any], table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*words(small, table), "--dry-run"]
    status, text, _ = run_on_ascii(monkeypatch, [*command, "--json"])
    assert status == 0
    assert set(json.loads(text)["dataset"]["classes"]) == {POSITIVE, NEGATIVE}
    status, text, _ = run_on_ascii(monkeypatch, command)
    assert status == 0
    assert "??" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("没有.csv", "unknown data '??.csv'"),
        ("\udce6.csv", "letters that are not UTF-8: rename it, or set PYTHONUTF8=1"),
    ],
)
def test_a_refusal(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    status, _, error = run_on_ascii(monkeypatch, words(small, Path(name)))
    assert status == 2
    assert says in error
    assert error.count("\n") == 1
