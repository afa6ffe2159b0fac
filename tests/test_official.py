"""``make records``: what it says of the official records."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.records import Official, changes_since, command_of, records
from fedseed.results.record import read_record

ROOT = Path(__file__).parents[1]
OFFICIAL = ROOT / "results" / "official"
FOUND = list(records())


def test_all_are_listed_and_their_tables_are_today_s() -> None:
    assert len(FOUND) == len(list(OFFICIAL.glob("*/record.json")))
    assert [one.name for one in FOUND if one.table == "no"] == []
    assert sum(one.table == "yes" for one in FOUND) > 15


def test_commands_of_studies_and_runs_can_be_told() -> None:
    told = {one.name: one.command for one in FOUND}
    kinds = {one.kind for one in FOUND if one.command.startswith("python simulations/")}
    assert {"federated", "ablation", "budget", "comparison", "privacy", "rates"} <= kinds
    record = read_record(OFFICIAL / "federated-seed1" / "record.json")
    assert command_of("federated-seed1", record) == told["federated-seed1"]
    assert told["federated-seed1"] == (
        "python simulations/run_fed.py --run-seed 1 --out results/official/federated-seed1"
    )


def test_changes_are_counted() -> None:
    words = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not in a checkout")
    assert changes_since(done.stdout.strip(), "federated") == 0
    assert changes_since("0" * 40, "federated") is None
    assert changes_since("", "federated") is None


def test_what_is_stale() -> None:
    fresh = Official("a", "federated", 2, "c", 0, "yes", "")
    assert fresh.stale == ""
    assert Official("a", "federated", 1, "c", 3, "no", "").stale == "schema 1, table, 3 commit(s)"
    assert Official("a", "federated", 2, "c", None, "-", "").stale == "commit unknown"
