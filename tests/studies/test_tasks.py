"""Studies on other tasks than the bundled one: many classes, and sentences as private texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.errors import ConfigError
from fedseed.studies import find_studies
from fedseed.studies.comparison.options import ComparisonOptions
from fedseed.studies.comparison.study import _personal
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import plan_of, set_aside, world_of
from fedseed.studies.rows import ROWS, row_words, run_config
from tests.studies.conftest import Run
from tests.topics import write_topics

TINY: dict[str, dict[str, Any]] = {
    "ablation": {"most_steps": 2},
    "budget": {"samples": "20,50", "steps": "1,2", "starts": "random-scaled,pca"},
    "comparison": {
        "protocols": "local,weights", "partitions": "dirichlet-0.1",
        "conditions": "poison", "clients": 2, "most_steps": 2, "personalize": 2,
    },
    "privacy": {
        "clients": 2, "shard": 20, "population": 20, "references": 7, "most_steps": 2,
        "epsilons": "8", "protocol": "recipe,weights", "defences": False,
        "attack": "membership,label-distribution,canaries,crafted",
    },
    "rates": {"rates": "1e-4", "steps": 2, "samples": 40},
    "zero_shot": {"part": "classifier", "k": "2", "budget": ""},
}  # fmt: skip


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 77 classes."""
    return write_topics(tmp_path_factory.mktemp("task") / "topics.csv", 77, 616)


@pytest.mark.parametrize("kind", find_studies())
def test_a_study_of_many_classes_names_its_task(
    run: Run, topics: Path, kind: str, tmp_path: Path
) -> None:
    about = find_studies()[kind]
    options = {"data": str(topics), "test_examples": 77, "original_steps": 2, **TINY[kind]}
    if kind in ("comparison", "privacy"):
        options["original_steps"] = None
    record = run(about.study_class, quick=True, max_length=24, **options)
    assert record["task"] == "topics"
    table = (tmp_path / "run" / "table.md").read_text()
    title, *rest = table.splitlines()
    assert " on topics: " in title
    assert ("1 of each of 77 classes" in table) == (
        kind != "privacy"
    )  # it tests under budgets alone
    assert max(map(len, rest)) < 1200  # no list of all classes
    assert (tmp_path / "run" / "figure.png").stat().st_size > 10_000
    if kind == "privacy":
        assert "not measured here" in table
        assert {cell["attack"] for cell in record["results"]["cells"]} >= {
            "label-distribution", "membership, rmia", "canary trained on 16 time(s)",
        }  # fmt: skip


def test_crafted_seeds_alone_need_two_classes(run: Run, topics: Path) -> None:
    privacy = find_studies()["privacy"].study_class
    tiny = TINY["privacy"] | {"attack": "crafted", "original_steps": None, "quick": True}
    with pytest.raises(ConfigError, match="asks models of two classes"):
        run(privacy, data=str(topics), **tiny)


def test_rows_read_the_table_as_the_study_does(reviews: Path, tmp_path: Path) -> None:
    """A run of a row has every option that says how the data are read."""
    path = tmp_path / "semicolon.csv"
    path.write_text(reviews.read_text().replace(",", ";"))
    asked = {"data": str(path), "separator": ";", "header": "yes", "drop_rare": 3}
    config = ComparisonOptions.parse(asked | {"encoding": "utf-8", "test_examples": 20})
    run, _ = run_config(config, ROWS["weights"], "iid", "", 0)
    for name in (*asked, "encoding", "test_examples"):
        assert getattr(run, name) == getattr(config, name)


def test_sentences_are_no_public_texts_of_their_own_task() -> None:
    on_imdb, on_sentences = (
        ComparisonOptions.parse({"data": data}) for data in ("bundled", "bundled:sentences")
    )
    row = ROWS["labels"]
    assert run_config(on_imdb, row, "iid", "", 0)[0].public_texts == "sentences"
    assert run_config(on_sentences, row, "iid", "", 0)[0].public_texts == "reviews:3000"
    assert "public sentences" in row_words(on_imdb, row)
    assert "3,000 sentences set aside" in row_words(on_sentences, row)
    assert row_words(on_imdb, ROWS["labels-reviews"]) == ROWS["labels-reviews"].words
    assert "5,000 texts" in row_words(on_sentences, ROWS["labels-reviews"])


def test_no_candidate_is_a_public_text(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedseed.studies.rows._ARE_PUBLIC", options["data"])
    monkeypatch.setattr("fedseed.studies.rows._SET_ASIDE", 60)
    tiny = TINY["privacy"] | {"protocol": "labels", "attack": "membership", "shard": 10}
    config = PrivacyOptions.parse(options | tiny | {"original_steps": None})
    public = plan_of(config, "labels").federated.public
    assert public is not None
    assert set_aside(config).tolist() == public.rows.tolist()
    world = world_of(config, 2, 10)
    held = np.concatenate([world.candidates, world.population, world.newcomer])
    assert not np.isin(held, public.rows).any()


def test_a_client_of_a_class_that_was_not_tested() -> None:
    """It is left out where none of its classes was tested, else judged by the others."""
    tested = {"correct": [1, 2, 0], "examples": [2, 2, 0]}
    clients = [
        {"partition_id": pid, "labels": labels, "before": tested, "after": tested}
        for pid, labels in enumerate(([0, 0, 5], [2, 2, 4]))
    ]
    personal = _personal([clients])
    assert personal is not None
    assert [client["partition_id"] for client in personal["clients"]] == [1]
    assert personal["clients"][0]["before"]["value"] == pytest.approx(0.75)
    assert _personal([clients[:1]]) is None
