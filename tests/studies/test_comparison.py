"""The comparison: rows on the same shards, what is counted, readings, bad input."""

from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, DataError
from fedseed.evaluation.frontier import (
    Point,
    break_even_speed,
    cheapest,
    pareto,
    quickest,
    within_budget,
)
from fedseed.protocols import protocol_names
from fedseed.runs.plan import make_plan
from fedseed.studies.comparison.options import ComparisonOptions
from fedseed.studies.comparison.readings import verdicts
from fedseed.studies.comparison.study import Comparison
from fedseed.studies.rows import CONDITIONS, ROWS, partition_options, run_config
from tests.studies.conftest import Run, lasting

SMALL: dict[str, Any] = {
    "clients": 3, "most_steps": 4, "repeats": 2, "original_steps": None, "partitions": "iid",
    "protocols": "local,central,recipe,weights,weights-int8", "conditions": "poison",
}  # fmt: skip


def test_cells_bytes_and_determinism(run: Run) -> None:
    record = run(Comparison, **SMALL, personalize=3)
    cells = {(c["row"], c["condition"]): c for c in record["results"]["cells"]}
    assert set(cells) == {
        ("local", None), ("central", None), ("recipe", None), ("weights", None),
        ("weights-int8", None), ("weights", "poison"),
    }  # fmt: skip
    for cell in cells.values():
        for name in ("accuracy", "newcomers", "worst_client"):
            accuracy = cell[name]
            assert accuracy["n"] == 20
            assert accuracy["majority_baseline"] == 0.5
            assert len(accuracy["repeats"]) == 2
        assert cell["worst_client"]["value"] <= cell["accuracy"]["value"] + 1e-9
        equal = cell["linear_of_equal_bytes"]
        assert (equal is None) == (not cell["rounds"])
        assert equal is None or 64 <= equal["bytes"] <= sum(
            cell["payload_bytes"]["per_client"].values()
        )
        assert (cell["start"], cell["model"], cell["max_length"]) == ("random", "bert-tiny", 16)
    heavy, light = cells["weights", None], cells["weights-int8", None]
    size = record["results"]["fp32_model_bytes"]
    assert heavy["payload_bytes"]["up"] == 2 * 3 * (size + 12)
    assert light["payload_bytes"]["up"] < heavy["payload_bytes"]["up"] / 4
    assert cells["local", None]["payload_bytes"] == cells["central", None]["payload_bytes"]
    assert cells["local", None]["payload_bytes"]["up"] == 0
    assert [r["usable_replies"] for r in heavy["rounds"]] == [3, 3]
    assert heavy["client_steps"] == 8
    assert cells["recipe", None]["client_steps"] == 8
    personal = heavy["personalization"]
    assert len(personal["clients"]) == 2 * 3
    for client in personal["clients"]:
        assert client["after"]["n"] == 20
        assert client["gain"] == client["after"]["value"] - client["before"]["value"]
    assert light["personalization"] is None
    again = run(Comparison, "again", workers=2, **SMALL, personalize=3)
    fleeting = {"client_seconds", "making_seconds"}

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: kept(v) for k, v in lasting(value).items() if k not in fleeting}
        return [kept(v) for v in value] if isinstance(value, list) else value

    assert kept(record) == kept(again)


def test_a_cell_is_what_the_federated_run_is(run: Run, options: dict[str, Any]) -> None:
    """The same bytes and the same model as run_fed.py with these options."""
    import torch

    from fedseed.studies.comparison.cells import measure

    config = ComparisonOptions.parse(
        options | {"clients": 3, "most_steps": 4, "original_steps": None}
    )
    arguments = {
        "what": "row", "model": "bert-tiny", "row": "weights", "partition": "iid",
        "condition": "", "repeat": 0,
    }  # fmt: skip
    torch.set_num_threads(1)
    cell = measure(config.model_dump_json(), arguments)
    run_options, recipe = run_config(config, ROWS["weights"], "iid", "", 0)
    plan = make_plan(run_options, given=recipe)
    from tests.contracts.protocol_contract import World

    world, server = World(plan), plan.server()
    for number in (1, 2):
        payloads = server.configure(number, [0, 1, 2])
        contributions = {pid: world.contribution(pid, number, payloads[pid]) for pid in (0, 1, 2)}
        sent = cell["rounds"][number - 1]["payload_bytes"]
        assert sent["up"] == sum(map(len, contributions.values()))
        assert sent["down"] == sum(map(len, payloads.values()))
        server.aggregate(number, contributions)


def test_every_row_can_be_planned(options: dict[str, Any]) -> None:
    config = ComparisonOptions.parse(options | {"original_steps": None})
    assert {row.protocol for row in ROWS.values()} == {*protocol_names(), None}
    for name, row in ROWS.items():
        if "public" in row.options:  # needs the bundled data
            continue
        run_options, recipe = run_config(config, row, "dirichlet-0.5", "", 1)
        assert isinstance(run_options, RunConfig)
        assert recipe.max_length == 16
        assert set(row.options) <= set(RunConfig.option_names()), name
    for _, changes in CONDITIONS.values():
        assert set(changes) <= set(RunConfig.model_fields)


def point(row: str, accuracy: float, size: float, seconds: float = 1.0, number: int = 1) -> Point:
    return Point(row, number, accuracy, size, seconds, 10.0)


def test_readings() -> None:
    points = [
        point("light", 0.70, 100, 30), point("heavy", 0.75, 1e6, 5),
        point("heavy", 0.83, 2e6, 10, 2), point("middle", 0.69, 1e4, 3),
        point("better", 0.80, 1e5, 20),
    ]  # fmt: skip
    assert pareto(points) == {"light", "better", "heavy"}
    best = within_budget(points, 1e5)
    assert best is not None
    assert best.row == "better"
    assert within_budget(points, 10) is None
    soon = cheapest(points, "heavy", 0.75)
    assert soon is not None
    assert soon.round == 1
    assert cheapest(points, "light", 0.75) is None
    quick = quickest(points, "better", 0.75, 8e5)
    assert quick is not None
    assert quick.time(8e5) == pytest.approx(21)
    below = break_even_speed(points[4], points[2])
    assert below is not None
    assert points[4].time(below) == pytest.approx(points[2].time(below))
    assert break_even_speed(points[3], points[2]) is None


def cell(row: str, accuracy: float, size: float, seconds: float) -> dict[str, Any]:
    return {
        "row": row, "protocol": row.partition("-")[0], "making_seconds": 0.0,
        "rounds": [{
            "round": 1, "result_bytes": 0, "steps": 1,
            "client_payload_bytes": {"down": size, "up": 0}, "client_seconds": seconds,
            "accuracy": {"value": accuracy},
        }],
    }  # fmt: skip


def test_verdicts_name_the_speed() -> None:
    words = verdicts([cell("weights", 0.83, 2e7, 10), cell("labels", 0.80, 1e3, 20)])
    assert "To 80 %, labels is quicker than fp32 weights on links below 16.0 Mbit/s." in words
    assert "82 %" not in words
    words = verdicts([cell("weights", 0.83, 2e7, 10), cell("labels", 0.60, 1e3, 20)])
    assert words.startswith("No row")


def test_verdicts_are_of_one_model() -> None:
    heavy = cell("weights-int8", 0.89, 4e7, 10) | {"model": "minilm", "series": "weights-int8 (m)"}
    light = cell("coordinates-4k", 0.88, 3e4, 8) | {"model": "minilm", "series": "few (m)"}
    words = verdicts([cell("weights", 0.81, 2e7, 10) | {"model": "bert-tiny"}, heavy, light])
    assert "To 88 %, few (m) is quicker than weights-int8 (m) on every link." in words
    assert "fp32 weights" not in words


def test_partitions() -> None:
    assert partition_options("iid") == {"partition": "iid"}
    assert partition_options("dirichlet-0.1") == {"partition": "dirichlet", "alpha": 0.1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocols": "weights,pigeons"}, "unknown 'pigeons': choose from local, central"),
        ({"partitions": "dirichlet"}, "unknown 'dirichlet'"),
        ({"partitions": "iid-3"}, "unknown 'iid-3'"),
        ({"conditions": "rain"}, "unknown 'rain': choose from dropout, poison"),
        ({"clients": 0}, "clients = 0"),
        ({"protocols": "mask,weights-topk", "personalize": 3}, "works with labels and weights"),
    ],
)
def test_bad_input(run: Run, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run(Comparison, **(SMALL | changes))


def test_public_texts_that_do_not_fit_the_data(run: Run) -> None:
    with pytest.raises(DataError, match="from 1 to 120"):
        run(Comparison, **(SMALL | {"protocols": "labels-reviews"}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": "minilm", "protocols": "labels"}, "published body"),
        ({"models": "bert-tiny,minilm", "protocols": "labels"}, "with minilm"),
        ({"models": "bert-tiny,bert-tiny"}, "each once"),
        ({"models": "minilm", "model": "bert-mini"}, "not among"),
    ],
)
def test_models_that_no_row_is_run_with(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ComparisonOptions.parse(options)


def test_what_there_is_one_of_is_the_first_model_s() -> None:
    assert ComparisonOptions.parse({"models": "minilm,bert-tiny"}).model == "minilm"
    assert ComparisonOptions.parse({"model": "bert-mini"}).all_models == ["bert-mini"]
