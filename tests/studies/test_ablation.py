"""The ablation: the artefact under its name, the same record for any number of workers, resume."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedseed.errors import InputError, OutputError
from fedseed.studies.ablation import study as ablation
from fedseed.studies.ablation.study import Ablation
from fedseed.studies.base import study_command
from fedseed.studies.cells import CELLS, read_cells
from tests.studies.conftest import Run, lasting, runner

SMALL = {"most_steps": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the whole run is."""
    return tmp_path_factory.mktemp("ablation")


@pytest.fixture(scope="module")
def record(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One whole run, in this process."""
    return runner(options, folder)(Ablation, **SMALL)


def test_every_cell_is_there(record: dict[str, Any], folder: Path) -> None:
    cells = record["results"]["cells"]
    assert record["status"] == "completed"
    assert len(cells) == 7 * 2 + 6 * 2
    for cell in cells:
        assert len(cell["after"]["repeats"]) == 2
        low, high = cell["after"]["ci95"]
        assert low <= cell["after"]["value"] <= high
        one = cell["test_set"] == "one_class"
        assert cell["after"]["majority_baseline"] == (1.0 if one else 0.5)
        assert ("after_balanced" in cell) == one
    sizes = {cell["seed_kind"]: cell["bytes"] for cell in cells}
    assert sizes["random"] <= 64
    assert sizes["minimal"] <= 64
    assert sizes["stats"] <= 256
    assert sizes["pca"] <= 55_000
    assert sizes["lexicon"] <= 1500
    knows = [c for c in cells if c["seed_kind"] == "lexicon" and c["test_set"] == "balanced"]
    assert min(cell["before"]["value"] for cell in knows) > 0.8
    baselines = record["results"]["baselines"]
    assert baselines["tfidf_full"]["value"] > 0.9
    assert {p.name for p in (folder / "run").iterdir()} == {
        "record.json", "table.md", "figure.png", "report.html",
    }  # fmt: skip
    table = (folder / "run" / "table.md").read_text()
    assert "majority baseline 100.0 %" in table
    assert "--quick" not in table


def test_the_artefact(run: Run) -> None:
    """Trained on one class, every seed is right always on that class, and at chance on both."""
    record = run(Ablation, recipe=None, most_steps=40, repeats=1)
    for cell in record["results"]["cells"]:
        # With the good recipe forty steps suffice to learn a constant answer.
        if (cell["test_set"], cell["recipe_name"]) == ("one_class", "good"):
            assert cell["after"]["value"] == 1.0
            if cell["seed_kind"] == "lexicon":  # it had seen both, and may still tell them apart
                continue
            assert cell["after_balanced"]["value"] == pytest.approx(0.5, abs=0.2)
    balanced = [
        cell["after"]["value"]
        for cell in record["results"]["cells"]
        if (cell["test_set"], cell["recipe_name"]) == ("balanced", "good")
    ]
    assert max(balanced) > 0.8


def test_any_number_of_workers_and_a_resumed_run_give_the_same_record(
    run: Run, record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = ablation.measure, 0

    def dies(config_json: str, arguments: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return real(config_json, arguments)

    monkeypatch.setattr(ablation, "measure", dies)
    with pytest.raises(KeyboardInterrupt):
        run(Ablation, "cut", **SMALL)
    folder = tmp_path / "cut"
    assert len(read_cells(folder)) == 7
    with (folder / CELLS).open("a") as file:
        file.write('\n{"cell": "cut off')  # a kill in the middle of a line
    monkeypatch.setattr(ablation, "measure", real)
    again = study_command(Ablation, {"workers": 2}, None, str(folder), True, Console(quiet=True))
    assert lasting(again) == lasting(record)
    assert not (folder / CELLS).exists()
    with pytest.raises(OutputError, match="complete"):
        study_command(Ablation, {}, None, str(folder), True, Console(quiet=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": 500}, "k = 500"),
        ({"k": 0}, "k = 0"),
        ({"step": 7.0}, "step = 7"),
        ({"repeats": 0}, "repeats"),
        ({"model": "none-such"}, "none-such"),
        ({"data": "nowhere.csv"}, "nowhere"),
        ({"recipe": "nowhere.toml"}, "nowhere"),
        ({"max_length": 9999}, "9999"),
    ],
)
def test_bad_input_leaves_no_finished_record(
    run: Run, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run(Ablation, **(SMALL | changes))
    assert not (tmp_path / "run").exists()


def test_paired_tests_compare_within_a_recipe(record: dict[str, Any]) -> None:
    comparisons = record["results"]["comparisons"]
    assert len(comparisons) == 2 * (5 + 4)
    values = {
        (cell["recipe_name"], cell["seed_kind"], cell["scheme"]): cell["after"]["repeats"]
        for cell in record["results"]["cells"]
        if cell["test_set"] == "balanced"
    }
    one = next(c for c in comparisons if (c["row"], c["against"]) == ("pca", "random-bert"))
    pairs = zip(values["documents", "pca", None], values["documents", "random", "bert"])
    gaps = [a - b for a, b in pairs]
    assert one["difference"] == pytest.approx(sum(gaps) / len(gaps), abs=1e-5)
