"""The report of the privacy study: whole, true to its record, careful, made from any record."""

import copy
import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.results.markdown import size
from fedseed.results.record import RunRecord
from fedseed.results.table import percent
from fedseed.studies.base import _written
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.report import privacy_report
from fedseed.studies.privacy.report.budgets import best_bound, budgets, most_found
from fedseed.studies.privacy.report.findings import findings
from fedseed.studies.privacy.report.verdicts import (
    CONTRADICTED,
    NOTHING,
    UNKNOWN,
    bound_badge,
    verdicts,
)
from fedseed.studies.privacy.report.view import Place, View
from fedseed.studies.privacy.study import Privacy
from tests.results.html_page import check_page
from tests.studies.privacy_records import (
    OFFICIAL,
    SUMS,
    audited,
    bounded,
    mean,
    membership,
    newer,
    official,
    place,
    strong,
)


def test_the_official_report_holds_what_its_record_holds() -> None:
    record = official()
    results = record["results"]
    read = check_page(privacy_report(record))
    for row, words in results["rows"].items():
        assert f"{row} ({words})" in read.text
    for words in results["observers"].values():
        for part in words.split(": "):
            assert part in read.text
    for cell in results["cells"]:
        if "bytes_read" in cell and cell["setting"] is None:
            assert size(cell["bytes_read"]) in read.text
        if (cell.get("auc") or {}).get("value"):
            assert f"{cell['auc']['value']:.3f} ({cell['auc']['ci95'][0]:.3f} to" in read.text
        for name in ("tpr_at_1pct_fpr", "token_recall", "label_error"):
            if (cell.get(name) or {}).get("value"):
                assert percent(cell[name]["value"]) in read.text
        if "exposure_bits" in cell:
            assert f"{min(9.0, cell['exposure_bits']['value']):.1f} (" in read.text
        if cell["attack"] == "one-run audit":
            assert f"{cell['epsilon_lower_bound']['value']:.2f} (" in read.text
    for cell in results["cells"]:
        reached = cell.get("accuracy")
        if reached:
            low, high = (percent(end) for end in reached["ci95"])
            shown = f"{percent(reached['value'])} ({low} to {high}; n = {reached['n']:,})"
            assert shown in read.text
    for version in record["provenance"]["packages"].values():
        assert version in read.text
    assert record["provenance"]["commit"] in read.text
    assert record["provenance"]["started"] in read.text
    figures = [name for name in read.ids if name.startswith("figure-") and name.count("-") == 2]
    assert len(figures) >= 4 + 1 + 3  # readers, audited rows, rows with a budget


def test_the_official_verdicts() -> None:
    said = {one.place.label: one for one in verdicts(View(official()))}
    assert said["weights"].badge.words == "Gives texts away"
    assert said["labels"].badge.words == "Gives members away"
    assert said["scalars"].badge.words == "Gives the class mix away"
    assert said["recipe"].badge.words == "Gives words away"
    assert said["recipe"].who[0].startswith("a server that chooses seed and recipe")
    assert not any("safe" in one.badge.words.lower() for one in said.values())


def test_rows_that_were_attacked_under_noise_say_so() -> None:
    """As the record names them; an older one is read by what those rows are today."""
    record = official()
    record["results"].pop("noised_rows", None)
    place = Place("lexicon-counts-private-4", False)
    assert View(record).noised(place) == "epsilon 4 for one text"
    assert View(record).noised(Place("weights", False)) == ""
    read = check_page(privacy_report(record))
    assert "lexicon-counts-private-4 (epsilon 4 for one text)" in read.text
    assert "Gives members away, within the guarantee: lexicon-counts-local-4" in read.text
    named = record | {"results": record["results"] | {
        "noised_rows": {"weights": {"unit": "client", "epsilon": 2.0}},
    }}  # fmt: skip
    assert View(named).noised(place) == ""
    words = "epsilon 2 for all texts of one client"
    assert View(named).noised(Place("weights", False)) == words
    assert f"{words}, in the runs that were attacked" in check_page(privacy_report(named)).text


def test_a_newer_record() -> None:
    record = newer()
    view = View(record)
    read = check_page(privacy_report(record))
    assert "0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.91, 0.90" in read.text
    assert "model minilm" in read.text
    assert "Of 2 mechanisms broken on purpose the audit noticed 1." in read.text
    assert "discrete Gaussian noise" in read.text
    assert "4.3 KB" in read.text
    said = {one.place.label: one.badge for one in verdicts(view)}
    assert said["weights"].words == "Gives members away"
    assert said["lexicon"].words == "Gives members away"  # by its true positive rate alone
    assert said[SUMS] is NOTHING
    assert said["labels"] is UNKNOWN
    bounds = {b.label: bound_badge(b).words for b in budgets(view) if b.claimed is not None}
    assert bounds == {
        "weights, bert-tiny, 64 tokens, 8 clients: epsilon 4": "Bounded: epsilon 4.00",
        "weights, bert-tiny, 64 tokens, 8 clients: epsilon 8": "Bounded loosely: epsilon 8.00",
        f"{SUMS}, bert-tiny, 64 tokens, 8 clients: epsilon 1": "Bounded strongly: epsilon 1.00",
    }
    best = best_bound(view)
    assert best is not None
    assert (best.place.row, best.claimed) == ("weights", 4.0)  # the smaller one was not audited
    assert best_bound(view, "client") is None


def test_only_a_proof_bounds_and_a_failed_attack_shows_nothing() -> None:
    record = newer()
    record["results"]["cells"] = [membership("weights", 0.5, 0.01)]
    text = check_page(privacy_report(record)).text
    assert "nothing here is bounded" in text
    assert "That is not shown to be safe." in text
    assert "proves nothing about a better one" in text
    assert "Nothing in this report bounds what a better attack would find." in text


def test_an_audit_above_its_claim_is_said_at_the_top() -> None:
    record = newer()
    record["results"]["cells"] = [bounded("weights", 4.0, 0.7), audited("weights", 4.0, 4.5)]
    view = View(record)
    assert [bound_badge(budget) for budget in budgets(view)] == [CONTRADICTED]
    assert best_bound(view) is None
    text = check_page(privacy_report(record)).text
    assert "an audit contradicts the guarantee" in text
    assert "the guarantee is in doubt" in text


@pytest.mark.parametrize(("reached", "said"), [(0.74, True), (0.69, False)])
def test_a_model_that_is_better_under_noise_is_explained(reached: float, said: bool) -> None:
    record = newer()
    record["results"]["cells"] = [bounded("weights", None, 0.7), bounded("weights", 4.0, reached)]
    assert ("noise has not helped" in check_page(privacy_report(record)).text) == said


@pytest.mark.parametrize(
    ("cell", "kinds"),
    [
        (membership("weights", 0.6, 0.0), ["members"]),
        (membership("weights", 0.599, 0.0301), ["members"]),
        (membership("weights", 0.599, 0.0299), []),
        (membership("weights", 0.5, 0.0) | {"auc": {"value": None, "ci95": None}}, []),
        (strong("weights", 0.52), []),
        (strong("weights", 0.52, per_record={**strong("weights", 0.5)["per_record"],
                                             "share_above_0_9": 0.01}), ["members"]),
        ({**place("weights", None), "attack": "tokens", "targets": 2,
          "token_recall": mean(0.52), "token_precision": mean(0.52)}, ["words"]),
        ({**place("weights", None), "attack": "tokens", "targets": 2,
          "token_recall": mean(0.9), "token_precision": mean(0.5)}, []),
        ({**place("weights", None), "attack": "label-distribution", "targets": 2,
          "label_error": mean(0.1), "label_error_of_guessing": mean(0.3)}, ["mix"]),
        ({**place("weights", None), "attack": "canary trained on 4 time(s)", "targets": 2,
          "repeated": 4, "most_bits": 9.0, "exposure_bits": mean(2.9, 0.1)}, []),
        ({**place("weights", None), "attack": "canary trained on 4 time(s)", "targets": 2,
          "repeated": 4, "most_bits": 9.0, "exposure_bits": mean(3.1, 0.1)}, ["planted"]),
        (membership("weights", 0.99, 0.9, setting="memorising model"), []),  # the attack's test
        (membership("weights", 0.99, 0.9, setting="epsilon 8"), []),
    ],
)  # fmt: skip
def test_rules(cell: dict[str, Any], kinds: list[str]) -> None:
    record = newer()
    record["results"]["cells"] = [cell]
    assert [finding.kind for finding in findings(View(record))] == kinds
    check_page(privacy_report(record))


def test_the_most_that_can_be_found() -> None:
    assert most_found(0.0, 0.0) == pytest.approx(0.01)
    assert most_found(1.0, 1e-5) == pytest.approx(math.e * 0.01 + 1e-5)
    assert most_found(8.0, 0.0) == pytest.approx(1 - math.exp(-8) * 0.99)
    assert most_found(1e6, 0.0) == 1.0


def without_budgets(record: dict[str, Any]) -> None:
    cells = record["results"]["cells"]
    record["results"]["cells"] = [cell for cell in cells if "epsilon_claimed" not in cell]


def membership_only(record: dict[str, Any]) -> None:
    cells = record["results"]["cells"]
    kept = [c for c in cells if c["attack"].startswith("membership") and "caught" not in c]
    record["results"]["cells"] = kept


def audits_only(record: dict[str, Any]) -> None:
    cells = record["results"]["cells"]
    record["results"]["cells"] = [cell for cell in cells if cell["attack"].endswith("audit")]


def without_strong(record: dict[str, Any]) -> None:
    cells = record["results"]["cells"]
    record["results"]["cells"] = [cell for cell in cells if "per_record" not in cell]


def without_cells(record: dict[str, Any]) -> None:
    record["results"]["cells"] = []


def without_intervals(record: dict[str, Any]) -> None:
    """As where there was one run."""
    for cell in record["results"]["cells"]:
        cell["targets"] = 1
        for value in cell.values():
            if isinstance(value, dict) and "ci95" in value:
                value["ci95"] = None


def quick_and_no_git(record: dict[str, Any]) -> None:
    record["config"]["quick"] = True
    record["provenance"] |= {"commit": None, "dirty": None}


@pytest.mark.parametrize("made", [official, newer])
@pytest.mark.parametrize(
    "change",
    [without_budgets, membership_only, audits_only, without_strong, without_cells,
     without_intervals, quick_and_no_git],
)  # fmt: skip
def test_records_without_some_parts(
    made: Callable[[], dict[str, Any]], change: Callable[[dict[str, Any]], None]
) -> None:
    record = made()
    change(record)
    read = check_page(privacy_report(record))
    assert "Accuracy at each setting" in read.text or "This record has no accuracy" in read.text


def test_hostile_names_come_out_escaped() -> None:
    words = "<script>alert(1)</script>\"'>"
    record = newer()
    record["task"] = words
    record["config"] |= {"model": words, "data": words}
    record["provenance"]["dataset"] |= {"classes": [words, words], "source": words}
    record["provenance"]["packages"] = {words: words}
    record["results"]["rows"] = {words: words}
    record["results"]["observers"] = {"server": words, words: words}
    for cell in record["results"]["cells"]:
        cell |= {"row": words, "model": words, "mechanism": words}
    page = privacy_report(record)
    read = check_page(page)
    assert "<script" not in page
    assert "alert(1)" in read.text


def test_the_report_does_not_change_the_record_and_comes_out_alike() -> None:
    record = newer()
    before = copy.deepcopy(record)
    assert privacy_report(record) == privacy_report(record)
    assert record == before


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, out = tmp_path / "record.json", tmp_path / "other.html"
    shutil.copy(OFFICIAL, record)
    assert run_app(app, ["report", str(record)]) == 0
    assert str(tmp_path / "report.html") in capsys.readouterr().out
    assert run_app(app, ["report", str(record), "--out", str(out)]) == 0
    assert out.read_bytes() == (tmp_path / "report.html").read_bytes()
    check_page(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (None, "cannot read"),
        ({"schema": 2, "kind": "budget", "status": "completed"}, "lacks what"),
        ({"schema": 2, "kind": "original", "status": "completed"}, "not the record of"),
        ({"schema": 2, "kind": "federated", "status": "completed"}, "lacks what"),
        ({"schema": 2, "kind": "privacy", "status": "interrupted"}, "not the record of"),
        ({"schema": 2, "kind": "privacy", "status": "completed", "results": {}}, "lacks what"),
        ({"schema": 2, "kind": "privacy", "status": "completed", "config": [], "provenance": 3,
          "results": {"cells": 3, "rows": None}}, "lacks what"),
    ],
)  # fmt: skip
def test_what_has_no_report_is_refused(
    record: dict[str, Any] | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "record.json"
    if record is not None:
        path.write_text(json.dumps(record))
    assert run_app(app, ["report", str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_opens_and_prints_it(tmp_path: Path) -> None:
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(privacy_report(newer()), encoding="utf-8")
    words = [CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu",
             f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    shown = subprocess.run(
        [*words, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert "Verdict for each protocol" in shown.stdout
    subprocess.run(
        [*words, f"--print-to-pdf={paper}", page.as_uri()], capture_output=True, timeout=120
    )
    assert paper.read_bytes().startswith(b"%PDF")


def test_a_finished_study_leaves_its_report(tmp_path: Path) -> None:
    record = official()
    parts = ("kind", "config", "provenance", "status", "results", "protocols")
    made = RunRecord(**{name: record[name] for name in parts})
    written = _written(Privacy(PrivacyOptions.parse({})), made, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"record.json", "table.md", "figure.png", "report.html"}
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == privacy_report(written)
