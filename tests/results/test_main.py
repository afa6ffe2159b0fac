"""``python -m fedseed``: records and seeds, looked at."""

import json
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.models.registry import find_model
from fedseed.seeds.codec import assemble, read_seed, write_seed
from fedseed.seeds.kinds.random import random_seed
from fedseed.studies import find_studies

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
    assert "bytes: 50; the weights in fp32 are 17,544,712" in out


def saved_weights(folder: Path) -> Path:
    """BERT-tiny's weights as a run under --protocol weights leaves them."""
    from safetensors.numpy import save_file

    seed = random_seed("bert-tiny", 2, 5, "bert")
    path = folder / "model.safetensors"
    save_file(assemble(seed, find_model("bert-tiny", 2).shapes()), path)
    return path


def test_extract_and_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, out = str(saved_weights(tmp_path)), str(tmp_path / "a.fseed")
    words = ["extract", weights, "--model", "bert-tiny", "--out", out, "--k", "3"]
    assert run_app(app, words) == 0
    printed = capsys.readouterr().out
    assert "kind: pca" in printed
    assert "reconstruction error over all tensors: 0.9" in printed
    assert run_app(app, ["inspect", out, "--weights", weights]) == 0
    assert "reconstruction error over all tensors: 0.9" in capsys.readouterr().out
    assert run_app(app, ["inspect", out]) == 0
    assert "classifier.weight" in capsys.readouterr().out
    assert run_app(app, words) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["minimal", "stats", "pca"])
def test_extract_from_a_folder(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "a.fseed"
    size = ["--k", "1"] if kind == "pca" else []
    assert run_app(app, ["extract", "minilm", "--kind", kind, *size, "--out", str(out)]) == 0
    assert read_seed(out).kind == kind
    assert read_seed(out).model == "minilm"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "bert-tiny", "--k", "999"], "k = 999"),
        (["--model", "bert-tiny", "--kind", "magic"], "magic"),
        (["--model", "bert-mini"], "shape"),
        (["--model", "bert-tiny", "--budget", "words"], "PATTERN=K"),
        (["--model", "bert-tiny", "--step", "0"], "step"),
        (["--model", "bert-tiny", "--max-bytes", "10"], "give more"),
        (["--kind", "stats", "--max-bytes", "99"], "for --kind pca or lexicon only"),
        ([], "--model is missing"),
    ],
)
def test_extract_refuses(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.fseed"
    weights = str(saved_weights(tmp_path))
    assert run_app(app, ["extract", weights, "--out", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("kind", ["ablation", "zero_shot", "budget"])
def test_studies_can_be_shown(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["show", str(OFFICIAL / kind / "record.json")]) == 0
    assert "baseline: TF-IDF" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["show", "none.json"], ["inspect", "none.fseed"], ["dance"]])
def test_bad_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_report_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, run = tmp_path / "mine.csv", str(OFFICIAL / "federated-seed0")
    mine.write_text("my texts")
    assert run_app(app, ["report", run, "--out", str(mine)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert mine.read_text() == "my texts"
    assert run_app(app, ["report", run, f"{run}/", "--out", str(tmp_path / "r.html")]) == 2
    assert "stands there twice" in capsys.readouterr().err


def test_control_characters_of_a_record_are_not_shown(tmp_path: Path) -> None:
    record = json.loads((OFFICIAL / "federated-seed0" / "record.json").read_text())
    record["provenance"]["dataset"]["classes"][0] = "a\x1b[31m\x07b"
    record["provenance"]["dataset"]["source"] = "x\x0cy"
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    assert run_app(app, ["report", str(path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert not set(page) & set("\x1b\x07\x0c")


@pytest.mark.parametrize("kind", ["federated", *find_studies()])
@pytest.mark.parametrize("results", [{}, {"cells": 3}, {"floors": [], "zero_shot": {"ci95": 1}}])
def test_damaged_records(
    kind: str, results: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole by its kind and status, but not what the tables are made of."""
    path = tmp_path / "record.json"
    record = {"schema": 1, "kind": kind, "status": "completed", "results": results}
    path.write_text(json.dumps(record))
    assert run_app(app, ["show", str(path)]) == 2
    assert "lacks what its tables are made of" in (err := capsys.readouterr().err)
    assert err.count("\n") == 1


def test_baselines_fit_the_table() -> None:
    """With baselines the federated table is still readable 80 columns wide."""
    import io

    from rich.console import Console

    from fedseed.results.record import read_record
    from fedseed.results.table import accuracy_table

    results = read_record(OFFICIAL / "federated-seed0" / "record.json")["results"]
    baselines = read_record(OFFICIAL / "ablation" / "record.json")["results"]["baselines"]
    screen = io.StringIO()
    Console(file=screen, width=80).print(accuracy_table(results | {"baselines": baselines}))
    assert "baseline: bigrams, 128" in screen.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in screen.getvalue()


def test_a_lexicon_of_texts(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "a.fseed")
    words = ["extract", str(reviews), "--kind", "lexicon", "--out", out, "--max-bytes", "300"]
    assert run_app(app, [*words, "--text-column", "review"]) == 0
    printed = capsys.readouterr().out
    assert "kind: lexicon" in printed
    assert "wonderful" in printed
    seed = read_seed(Path(out))
    assert (seed.kind, seed.model, seed.labels) == ("lexicon", "bert-tiny", 2)
    assert Path(out).stat().st_size <= 300
    assert run_app(app, ["inspect", out]) == 0
    assert "wonderful" in capsys.readouterr().out
    assert run_app(app, ["inspect", out, "--hide-words"]) == 0
    assert "wonderful" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kind", "lexicon", "--k", "3"], "--k: for --kind pca only"),
        (["--kind", "lexicon", "--max-bytes", "59"], "max-bytes = 59"),
        (["--kind", "lexicon", "--model", "minilm"], "not minilm"),
        (["--kind", "pca", "--max-length", "16"], "--max-length: for --kind lexicon only"),
        (["--kind", "lexicon", "--text-column", "none"], "no text column 'none'"),
    ],
)
def test_a_lexicon_that_cannot_be_extracted(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    out = tmp_path / "a.fseed"
    assert run_app(app, ["extract", str(reviews), "--out", str(out), *options]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_lexicon_of_counts(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "a.fseed")
    words = ["extract", str(reviews), "--kind", "lexicon", "--out", out, "--max-bytes", "300"]
    assert run_app(app, [*words, "--text-column", "review", "--estimate", "counts"]) == 0
    assert "wonderful" in capsys.readouterr().out
    assert Path(out).stat().st_size <= 300
    Path(out).unlink()
    assert run_app(app, [*words, "--estimate", "counts", "--words", "9"]) == 2
    assert "are for --estimate logistic" in capsys.readouterr().err


def test_a_lexicon_read_off_a_model(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a lexicon knows is read off the model that it assembles, and off its weights alone."""
    from safetensors.numpy import save_file

    first, second = tmp_path / "a.fseed", tmp_path / "b.fseed"
    words = ["extract", str(reviews), "--kind", "lexicon", "--text-column", "review"]
    assert run_app(app, [*words, "--out", str(first), "--max-bytes", "300"]) == 0
    seed = read_seed(first)
    shapes = find_model("bert-tiny", 2).shapes()
    path = tmp_path / "model.safetensors"
    save_file(dict(assemble(seed, shapes)), path)
    words = ["extract", str(path), "--kind", "lexicon", "--model", "bert-tiny", "--out"]
    assert run_app(app, [*words, str(second), "--max-bytes", "300"]) == 0
    printed = capsys.readouterr().out
    assert "wonderful" in printed.partition("kind: lexicon")[2]
    for option in (["--words", "9"], ["--text-column", "a"]):
        assert run_app(app, [*words, str(tmp_path / "c.fseed"), *option]) == 2
        assert f"{option[0]}: of labelled texts" in capsys.readouterr().err
