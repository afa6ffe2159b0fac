"""Records: schema 2, schema 1 brought to it, newer ones refused, older ones not resumed."""

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedseed.config import RunConfig
from fedseed.errors import OutputError
from fedseed.options import Options
from fedseed.results.figure import write_figure
from fedseed.results.record import SCHEMA, RunRecord, read_as_written, read_record
from fedseed.results.table import summary
from fedseed.results.upgrade import describe_by_name, upgraded
from fedseed.runs.resume import find_run
from fedseed.studies import find_studies
from fedseed.studies.budget.options import BudgetOptions

OFFICIAL = sorted((Path(__file__).parents[2] / "results" / "official").glob("*/record.json"))
SHARE = {
    "value": 0.5, "ci95": [0.4, 0.6], "n": 100, "balanced": 0.5, "majority_baseline": 0.5,
    "class_counts": [50, 50],
}  # fmt: skip


def numbers(value: Any) -> Iterator[float]:
    """Every number of a record, in its order."""
    if isinstance(value, dict):
        for part in value.values():
            yield from numbers(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def keys(value: Any) -> set[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: str(path.parent.name))
def test_an_official_record_keeps_its_numbers_and_gets_the_keys(path: Path) -> None:
    written, record = read_as_written(path), read_record(path)
    assert written["schema"] in (1, SCHEMA)
    assert record["schema"] == SCHEMA
    for part in ("config", "rounds", "ledger"):
        assert record[part] == written[part]
    for curve in written["results"].get("defences", []):
        curve.pop("epsilon")  # what was asked for stands in words there, as a setting
    lost = Counter(numbers(written["results"])) - Counter(numbers(record["results"]))
    assert not lost
    assert not {"floors", "scenario", "span"} & keys(record["results"])
    assert "kind" not in keys({name: record[name] for name in ("provenance", "results")})
    assert upgraded(record) == record
    if record["kind"] == "federated":
        assert record["protocol"]["name"] == record["config"]["protocol"]
    for cell in record["results"].get("cells", []):
        if record["kind"] in ("comparison", "privacy"):
            assert cell["row"]
            assert cell["protocol"] is None or cell["protocol"] in record["protocols"]


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: str(path.parent.name))
def test_every_key_of_a_record_is_documented(path: Path) -> None:
    record = read_record(path)
    page = (Path(__file__).parents[2] / "docs" / "record.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {record['kind']}\n")[2].partition("\n## ")[0]
    for cell in record["results"].get("cells", []):
        for key in set(cell) - {"payload_bytes", "message_bytes"}:
            assert f"`{key}`" in section or f"`{key}[]`" in section, key
    for key in (*record, *record["results"]):
        assert re.search(rf"[`.]{key}(\[\])?`", page), key


def schema_1(kind: str, **results: Any) -> dict[str, Any]:
    return {
        "schema": 1, "kind": kind, "status": "completed", "config": {},
        "provenance": {"seed": {"kind": "random", "key": 3}, "original": "a model"},
        "rounds": [], "ledger": {}, "results": results,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "written", "wanted"),
    [
        (
            "ablation",
            {"protocol": "balanced", "recipe": "good", "source": "original", "seed_kind": "pca"},
            {"test_set": "balanced", "recipe_name": "good", "extracted_from": "original",
             "seed_kind": "pca"},
        ),
        (
            "zero_shot",
            {"part": "classifier", "seed_kind": "pca(2)", "protocol": "one_class", "error": 0.7,
             "recipe": None, "after": None},
            {"part": "classifier", "row": "pca(2)", "test_set": "one_class",
             "reconstruction_error": 0.7},
        ),
        (
            "zero_shot",
            {"part": "language", "seed_kind": "unigram", "protocol": "sliding window"},
            {"part": "language", "row": "unigram"},
        ),
        (
            "budget",
            {"start": "pca", "seed_kind": "pca", "protocol": "balanced", "recipe": "good, constant",
             "before": None, "retention_plain": None, "retention_chance_corrected": None},
            {"start": "pca", "test_set": "balanced"},
        ),
        (
            "comparison",
            {"protocol": "weights-int8", "kind": "weights", "words": "in int8", "repeats": 3},
            {"row": "weights-int8", "protocol": "weights", "description": "in int8",
             "repeats": 3},
        ),
        (
            "comparison",
            {"protocol": "local", "kind": "local", "words": "alone", "repeats": 3},
            {"row": "local", "protocol": None, "description": "alone", "repeats": 3},
        ),
        (
            "privacy",
            {"scenario": "server", "protocol": "weights-int8", "condition": None,
             "payload_bytes": 7.0, "span": {"tokens": 1, "sentences": 2}},
            {"observer": "server", "row": "weights-int8", "setting": None, "bytes_read": 7.0,
             "gradient_inversion": {"token_share": 1, "text_share": 2}, "protocol": "weights"},
        ),
    ],
)  # fmt: skip
def test_cells_of_schema_1(kind: str, written: dict[str, Any], wanted: dict[str, Any]) -> None:
    old = schema_1(kind, cells=[written], floors={"majority": SHARE})
    before = json.dumps(old)
    record = upgraded(old)
    assert record["results"]["cells"] == [wanted]
    assert record["results"]["baselines"] == {"majority": SHARE}
    assert record["provenance"] == {
        "seed": {"seed_kind": "random", "key": 3}, "original_name": "a model",
    }  # fmt: skip
    assert json.dumps(old) == before


def test_what_stands_beside_the_cells_of_schema_1() -> None:
    paired = {"recipe": "good", "seed": "pca", "against": "random-bert", "repeats": 5}
    record = upgraded(schema_1("ablation", comparisons=[paired], original={"balanced": SHARE}))
    assert record["results"] == {
        "comparisons": [
            {"recipe_name": "good", "row": "pca", "against": "random-bert", "number_of_repeats": 5}
        ],
        "originals": {"balanced": SHARE},
    }
    curve = {"protocol": "labels", "epsilon": 8.0, "accuracy": SHARE}
    record = upgraded(schema_1("privacy", cells=[], defences=[curve]))
    (cell,) = record["results"]["cells"]
    assert "defences" not in record["results"]
    assert (cell["row"], cell["protocol"], cell["setting"]) == ("labels", "labels", "epsilon 8")
    assert (cell["epsilon_claimed"], cell["accuracy"]) == (8.0, SHARE)
    assert cell["epsilon_lower_bound"] is None
    assert list(record["protocols"]) == ["labels"]


@pytest.mark.parametrize("kind", ["federated", "original", "benchmark", "other", *find_studies()])
@pytest.mark.parametrize("results", [{}, {"cells": 3}, {"cells": [1]}, {"floors": []}, [], None])
def test_what_a_damaged_record_lacks_is_passed_over(kind: str, results: Any) -> None:
    for old in ({"schema": 1, "kind": kind}, schema_1(kind) | {"results": results}):
        record = upgraded(old)
        assert record["schema"] == SCHEMA
        assert record["kind"] == kind


@pytest.mark.parametrize("schema", [None, "2", True, 0, 2.0])
def test_what_has_no_schema_is_no_record(schema: Any, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"schema": schema}))
    with pytest.raises(OutputError, match="is not a record") as error:
        read_record(path)
    assert "\n" not in str(error.value)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"schema": SCHEMA + 1, "kind": "federated"}))
    with pytest.raises(OutputError, match=f"schema {SCHEMA + 1}.*install a newer one") as error:
        read_record(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("kind", "options"), [("federated", RunConfig), ("budget", BudgetOptions)])
def test_a_run_that_an_older_version_began_is_not_resumed(
    kind: str, options: type[Options], tmp_path: Path
) -> None:
    machine = {"engine": "local", "precision": "fp32", "device": "cpu"}
    record = schema_1(kind) | {"status": "interrupted", "provenance": {"machine": machine}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    with pytest.raises(OutputError, match="an older version of fedseed began") as error:
        find_run(tmp_path, kind, {}, options)
    assert "\n" not in str(error.value)


def foreign() -> dict[str, Any]:
    """The record of a run by a protocol that is not installed."""
    clients = [{"status": "ok", "partition_id": 0, "metrics": {"train_loss": 0.5}}]
    sizes = {"down": 9, "up": 3}
    most = sizes | {"per_client_round_max": sizes}
    people = {"newcomers": SHARE, "participants_mean": SHARE}
    ends = {"participants_worst": SHARE, "participants_best": SHARE}
    both = {"zero_shot": 1.0, "aggregated": 1.0}
    record = RunRecord(
        kind="federated",
        config={"protocol": "pigeons", "model": "bert-tiny", "clients": 1},
        provenance={"dataset": {"source": "a file", "classes": ["no", "yes"]}},
        rounds=[{"round": 1, "clients": clients, "test": SHARE}],
        ledger={"payload_bytes": most, "message_bytes": most, "fp32_model_bytes": 100},
        results={
            "given": people | ends, "aggregated": people | ends, "zero_shot": SHARE,
            "original": SHARE | {"name": "a model"},
            "retention": {"plain": both, "chance_corrected": both},
        },
        protocol={
            "name": "pigeons", "summary": "letters travel", "ends_with": "seed",
            "colour": "teal", "marker": "*", "travelled": "letters travelled",
            "given": "read alone", "aggregated": "read together",
        },
    )  # fmt: skip
    return record.to_dict()


def test_a_protocol_that_is_not_installed_is_drawn_and_tabulated(tmp_path: Path) -> None:
    record = foreign()
    screen = io.StringIO()
    Console(file=screen, width=80).print(summary(record))
    assert "retention of the aggregated seed: 100.0 % plainly" in screen.getvalue()
    write_figure(record, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    old = {name: value for name, value in record.items() if name != "protocol"} | {"schema": 1}
    described = upgraded(old)["protocol"]
    assert described == describe_by_name("pigeons")
    assert set(described) == set(describe_by_name("weights"))
    write_figure(record | {"protocol": described}, tmp_path / "plain.png")


@pytest.mark.parametrize(
    ("kind", "written", "wanted"),
    [
        ("zero_shot", {"row": "stats", "before": SHARE}, {"row": "stats", "accuracy": SHARE}),
        ("comparison", {"row": "local", "number_of_repeats": 3}, {"row": "local", "repeats": 3}),
        ("ablation", {"before": SHARE}, {"before": SHARE}),
    ],
)
def test_cells_of_schema_2_before_its_release(
    kind: str, written: dict[str, Any], wanted: dict[str, Any]
) -> None:
    record = upgraded({"schema": 2, "kind": kind, "results": {"cells": [written]}})
    assert record["results"]["cells"] == [wanted]
