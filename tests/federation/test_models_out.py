"""What runs end with, handed on: a folder for transformers, a package, a grown model, labels."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.recipe import Recipe
from fedseed.runs.labelling import open_classifier
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.seeds.package import Package, PackageCard, read_package, write_package
from tests.federation.running import Run

PROTOCOLS: dict[str, dict[str, Any]] = {
    "adapters": {"rank": 2},
    "coordinates": {"rank": 2},
    "labels": {"public": "reviews:80", "distil_steps": 3},
    "lexicon": {"rounds": 1},
    "mask": {},
    "scalars": {},
    "weights": {},
}
TEXTS = ["a wonderful film", "awful, boring mess", "the plot was very", "Superb " * 30]


def said(*words: object, status: int = 0) -> None:
    assert run_app(app, [str(word) for word in words]) == status


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_transformers_says_what_fedseed_says(protocol: str, run: Run, tmp_path: Path) -> None:
    from transformers import pipeline

    run(protocol=protocol, **PROTOCOLS[protocol])
    folder = tmp_path / "run0" / "model"
    ours = open_classifier(str(folder))
    assert ours.classes == ("negative", "positive")
    answers = pipeline("text-classification", model=str(folder))(TEXTS, truncation=True, top_k=None)
    theirs = [{one["label"]: one["score"] for one in answer} for answer in answers]
    expected = ours.probabilities(TEXTS)
    for row, scores in zip(expected, theirs, strict=True):
        assert scores["positive"] == pytest.approx(row[1], abs=1e-4)
    card = (folder / "README.md").read_text()
    assert f"`{protocol}`" in card
    assert "aggregated: newcomers" in card


def test_a_model_is_what_was_tested(run: Run, tmp_path: Path, reviews: Path) -> None:
    """The saved model is as good as the record says, on the very texts that it was tested on."""
    record = run(protocol="weights", rounds=2, steps=15)
    from fedseed.data.federated_dataset import open_dataset
    from fedseed.data.options import DataOptions
    from fedseed.data.sources import open_source

    dataset = open_dataset(DataOptions(data=str(reviews), max_length=16))
    texts = open_source(str(reviews)).read().texts
    assert dataset.kept is not None
    tested = [texts[row] for row in dataset.kept[dataset.test]]
    labels = dataset.table.labels[dataset.test]
    told = open_classifier(str(tmp_path / "run0" / "model")).probabilities(tested)
    expected = record["results"]["aggregated"]["newcomers"]
    assert len(labels) == expected["n"]
    assert float(np.mean(told.argmax(axis=1) == labels)) == pytest.approx(expected["value"])


def table_of(path: Path, texts: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("remark", "mood"), *texts])
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Somebody's table: other columns, other labels, other texts."""
    good, bad = ("great", "superb", "moving"), ("hated", "waste", "terrible")
    rng = np.random.default_rng(8)
    rows = []
    for number in range(120):
        words = good if number % 2 else bad
        text = f"{' '.join(rng.choice(words, 2))} {number} camera {rng.integers(1000)}"
        rows.append((text, "like" if number % 2 else "dislike"))
    return table_of(tmp_path / "own.csv", rows)


OWN = ("--text-column", "remark", "--label-column", "mood", "--labels",
       "like=positive,dislike=negative")  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{"start": "auto", "steps": 20}, {"protocol": "weights", "rounds": 2, "steps": 20}]
)
def test_from_a_run_to_somebody_s_model(
    changes: dict[str, Any], run: Run, own: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(**changes)
    package, out = tmp_path / "p.fseed", tmp_path / "grown"
    said("package", tmp_path / "run0", "--out", package, "--name", "film reviews")
    assert package.stat().st_size < 4000
    assert read_package(package).card.name == "film reviews"
    capsys.readouterr()
    said("grow", package, "--data", own, "--out", out, *OWN)
    printed = capsys.readouterr().out
    record = json.loads((out / "record.json").read_text())
    results = record["results"]
    kept = results[results["chosen"]]
    assert kept["n"] == 24
    assert kept["value"] > 0.9
    assert f"{24 * kept['value']:.0f} of 24 of your texts come out right" in printed
    assert "would give 12" in printed
    assert str(tmp_path) not in (out / "record.json").read_text()
    said("predict", out / "model", own, "--text-column", "remark", "--out", tmp_path / "l.csv")
    with (tmp_path / "l.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == [str(number) for number in range(1, 121)]
    right = [(row["label"] == "positive") == bool(n % 2) for n, row in enumerate(rows)]
    assert np.mean(right) > 0.9
    for row in rows:
        shares = float(row["probability of negative"]), float(row["probability of positive"])
        assert sum(shares) == pytest.approx(1, abs=2e-6)
        assert row["label"] == ("negative", "positive")[shares[1] > shares[0]]


def test_a_grown_model_is_the_same_again(run: Run, own: Path, tmp_path: Path) -> None:
    run(start="auto")
    said("package", tmp_path / "run0", "--out", tmp_path / "p.fseed")
    for name in ("a", "b"):
        said("grow", tmp_path / "p.fseed", "--data", own, "--out", tmp_path / name, *OWN)
    one, other = (json.loads((tmp_path / n / "record.json").read_text()) for n in "ab")
    assert one == other
    weights = [(tmp_path / n / "model" / "model.safetensors").read_bytes() for n in "ab"]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--text-column", "remark", "--label-column", "mood"), "label(s) dislike, like are none"),
        (("--label-column", "mood"), "no text column"),
        ((*OWN[:4], "--labels", "like"), "OWN=CLASS"),
        ((*OWN[:4], "--labels", "like=up,dislike=down"), "none of the package's classes"),
        ((*OWN[:4], "--labels", "like=positive"), "'like=positive,dislike=CLASS'"),
        ((*OWN[:4], "--labels", "like=positive,like=negative"), "stands there twice"),
    ],
)
def test_tables_that_do_not_fit(
    words: tuple[str, ...], message: str, run: Run, own: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(start="auto")
    said("package", tmp_path / "run0", "--out", tmp_path / "p.fseed")
    capsys.readouterr()
    said("grow", tmp_path / "p.fseed", "--data", own, "--out", tmp_path / "g", *words, status=2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "g").exists()


def test_a_table_of_a_few_texts(run: Run, tmp_path: Path, capsys: Any) -> None:
    run(start="auto")
    said("package", tmp_path / "run0", "--out", tmp_path / "p.fseed")
    few = table_of(tmp_path / "few.csv", [("great", "like"), ("waste", "dislike")])
    said("grow", tmp_path / "p.fseed", "--data", few, "--out", tmp_path / "g", *OWN, status=2)
    assert "too few texts" in capsys.readouterr().err


def test_what_stands_there_is_left_alone(run: Run, own: Path, tmp_path: Path, capsys: Any) -> None:
    run(start="auto")
    package = tmp_path / "p.fseed"
    said("package", tmp_path / "run0", "--out", package)
    said("package", tmp_path / "run0", "--out", package, status=2)
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "mine").write_text("x")
    said("grow", package, "--data", own, "--out", tmp_path / "g", *OWN, status=2)
    said("predict", package, own, "--text-column", "remark", "--out", own, status=2)
    assert capsys.readouterr().err.count("is there already") == 3
    assert own.read_text().startswith("remark,mood")


def test_places_are_looked_at_before_the_work(
    run: Run, own: Path, tmp_path: Path, capsys: Any
) -> None:
    run(start="auto")
    package = tmp_path / "p.fseed"
    said("package", tmp_path / "run0", "--out", package)
    capsys.readouterr()
    said("grow", package, "--data", own, "--out", own / "g", *OWN, status=2)
    said("predict", package, own, "--text-column", "remark", "--out", own / "l", status=2)
    printed = capsys.readouterr()
    assert printed.err.count("is no folder that can be written") == 2
    assert "training" not in printed.out
    said("predict", package, own, "--text-column", "remark", "--out", tmp_path / "new" / "l.csv")
    assert (tmp_path / "new" / "l.csv").is_file()


@pytest.mark.parametrize(
    ("model", "recipe", "message"),
    [
        ("someone/huge", {}, "installs with fedseed"),
        ("bert-tiny", {"steps": 10_000_000}, "more than a package may"),
        ("bert-tiny", {"batch_size": 65_535, "max_length": 512}, "more than a package may"),
    ],
)
def test_a_stranger_s_package(
    model: str, recipe: dict[str, int], message: str, own: Path, tmp_path: Path, capsys: Any
) -> None:
    """It neither fetches a model nor keeps the machine at work."""
    seed = random_seed("bert-tiny", 2, 5, "scaled")
    encoded = encode(dataclasses.replace(seed, model=model))
    card = PackageCard(name="gift", classes=("negative", "positive"))
    write_package(tmp_path / "p", Package(encoded, Recipe().replace(**recipe), card))
    said("grow", tmp_path / "p", "--data", own, "--out", tmp_path / "g", *OWN, status=2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "g").exists()


def test_what_a_package_cannot_hold(run: Run, tmp_path: Path, capsys: Any) -> None:
    run(start="auto")
    name = "\x1b[31mX"
    said("package", tmp_path / "run0", "--out", tmp_path / "p", "--name", name, status=2)
    assert "give another --name" in capsys.readouterr().err
    said("package", tmp_path / "run0", "--out", tmp_path / "p", "--max-bytes", "200", status=2)
    assert "leave it out" in capsys.readouterr().err
    record = tmp_path / "run0" / "record.json"
    content = json.loads(record.read_text())
    content["provenance"]["dataset"]["classes"][0] = "secret\nword"
    record.write_text(json.dumps(content))
    said("package", tmp_path / "run0", "--out", tmp_path / "p", status=2)
    error = capsys.readouterr().err
    assert "the classes of the package" in error
    assert "secret" not in error
    assert not (tmp_path / "p").exists()


def test_a_random_seed_is_called_one(run: Run, own: Path, tmp_path: Path, capsys: Any) -> None:
    run()
    seed, out = tmp_path / "run0" / "seed.fseed", tmp_path / "l.csv"
    said("predict", seed, own, "--text-column", "remark", "--out", out)
    assert "the seed is random" in capsys.readouterr().out


def test_a_seed_becomes_a_folder(run: Run, tmp_path: Path, capsys: Any) -> None:
    run(start="auto")
    seed = tmp_path / "run0" / "lexicon.fseed"
    said("seed", "grow", seed, "--classes", "down,up", "--out", tmp_path / "m")
    assert open_classifier(str(tmp_path / "m")).classes == ("down", "up")
    said("seed", "grow", seed, "--classes", "up", "--out", tmp_path / "n", status=2)
    assert "2 classes" in capsys.readouterr().err
    said("seed", "grow", seed, "--classes", "up,do\x1bwn", "--out", tmp_path / "n", status=2)
    assert "printable" in capsys.readouterr().err
