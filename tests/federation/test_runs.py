"""Whole runs: the same bits for any number of workers, after a kill, and through ray."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.errors import RunError
from fedseed.protocols.base import ClientTask
from fedseed.protocols.recipe.client import RecipeClient
from fedseed.results.record import read_record
from fedseed.results.run_report import run_report
from fedseed.runs.plan import make_plan
from tests.federation.running import Run, lasting
from tests.results.html_page import check_page


def test_workers_change_nothing(run: Run) -> None:
    alone, again, together = run(), run(), run(workers=2)
    assert lasting(alone) == lasting(again) == lasting(together)
    assert together["provenance"]["machine"]["workers"] == 2
    assert lasting(run(run_seed=1)) != lasting(alone)


def test_record(run: Run, tmp_path: Path) -> None:
    record = run()
    assert (record["schema"], record["kind"], record["status"]) == (2, "federated", "completed")
    results = record["results"]
    for name in ("given", "aggregated"):
        for role in (
            "newcomers", "participants_mean", "participants_worst", "participants_best",
        ):  # fmt: skip
            test = results[name][role]
            assert test["ci95"][0] <= test["value"] <= test["ci95"][1]
            assert test["n"] == sum(test["class_counts"])
            assert {"balanced", "majority_baseline"} <= set(test)
        assert results[name]["recipe"]["steps"] == (2 if name == "given" else 3)
    assert results["given"]["newcomers"]["n"] == 60
    assert results["given"]["participants_mean"]["n"] == 20
    assert set(results["retention"]["plain"]) == {"zero_shot", "aggregated"}
    assert "trained on all 240 training examples" in results["original"]["name"]
    assert record["provenance"]["peak_memory_bytes"] > 50_000_000
    assert record["provenance"]["dataset"]["duplicates_dropped"] == 0
    names = {path.name for path in (tmp_path / "run0").iterdir()}
    assert names == {
        "record.json", "report.html", "transcript.jsonl", "figure.png", "recipe.toml",
        "seed.fseed", "clients",
    }  # fmt: skip
    written = (tmp_path / "run0" / "report.html").read_text(encoding="utf-8")
    assert written == run_report(read_record(tmp_path / "run0" / "record.json"))
    check_page(written)


def test_the_aggregated_recipe_and_the_seed_can_be_used_again(run: Run, tmp_path: Path) -> None:
    first = run()
    out = tmp_path / "run0"
    second = run(recipe=str(out / "recipe.toml"), seed_file=str(out / "seed.fseed"))
    assert second["config"]["given_recipe"] == first["results"]["aggregated"]["recipe"]
    assert second["provenance"]["seed"] == first["provenance"]["seed"]
    # Same seed, recipe, shard and generator: the very same models.
    one, two = first["results"]["aggregated"], second["results"]["given"]
    assert one["newcomers"] == two["newcomers"]


def test_ledger_counts_what_was_serialised(run: Run, tmp_path: Path) -> None:
    record = run()
    lines = (tmp_path / "run0" / "transcript.jsonl").read_text().splitlines()
    import base64

    exchanges = [json.loads(line) for line in lines]
    train = [e for e in exchanges if e["phase"] == "train"]
    down = sum(len(base64.b64decode(e["down"])) for e in train)
    up = sum(len(base64.b64decode(e["up"])) for e in train)
    ledger = record["ledger"]
    assert (ledger["payload_bytes"]["down"], ledger["payload_bytes"]["up"]) == (down, up)
    assert ledger["payload_bytes"]["per_client_round_max"]["down"] <= 160
    assert ledger["payload_bytes"]["per_client_round_max"]["up"] <= 64
    assert max(len(base64.b64decode(e["down"])) for e in train if e["group"] == "2") <= 128
    assert ledger["message_bytes"]["down"] > down
    assert ledger["fp32_model_bytes"] == 17_544_712
    assert sum(r["payload_bytes"]["down"] for r in ledger["rounds"]) == down
    assert sum(c["payload_bytes"]["up"] for c in ledger["clients"]) == up


def test_message_bytes_are_those_of_the_serialised_message(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serialise at the executor, where message and payload are handed over side by side."""
    from fedseed.federation import executors
    from fedseed.federation.messages import message_to_bytes

    sizes: list[tuple[str, int, int]] = []
    execute = executors.execute

    def spy(app: Any, task: Any) -> Any:
        result = execute(app, task)
        both = (len(message_to_bytes(m)) for m in (task.message, result.reply))
        sizes.append((task.message.metadata.message_type, *both))
        return result

    monkeypatch.setattr(executors, "execute", spy)
    ledger = run()["ledger"]
    assert (
        sum(down for kind, down, _ in sizes if kind == "train") == ledger["message_bytes"]["down"]
    )
    assert sum(up for kind, _, up in sizes if kind == "train") == ledger["message_bytes"]["up"]


def test_a_client_that_raises_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken(RecipeClient):
        calls = 0

        def contribute(self, task: ClientTask) -> bytes:
            Broken.calls += 1
            if Broken.calls == 2:
                raise RuntimeError("no battery\nleft")
            return super().contribute(task)

    monkeypatch.setattr("fedseed.protocols.recipe.client.RecipeClient", Broken)
    record = run()
    first = {client["partition_id"]: client for client in record["rounds"][0]["clients"]}
    assert [first[pid]["status"] for pid in range(3)] == ["ok", "failed", "ok"]
    assert first[1]["reason"] == "RuntimeError: no battery"
    assert record["status"] == "completed"


def test_too_few_replies_end_the_run(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="round 1 had 0 usable replies"):
        run(drop_rate=1.0)
    record = json.loads((tmp_path / "run0" / "record.json").read_text())
    assert record["status"] == "failed"
    assert "--min-clients" in record["error"]
    assert {client["status"] for client in record["rounds"][0]["clients"]} == {"dropped"}


def test_some_replies_are_lost(run: Run) -> None:
    record = run(drop_rate=0.3, rounds=4, clients=5)
    statuses = [c["status"] for r in record["rounds"] for c in r["clients"]]
    assert 1 <= statuses.count("dropped") <= 14
    assert statuses.count("ok") + statuses.count("dropped") == 20
    assert lasting(run(drop_rate=0.3, rounds=4, clients=5, workers=2)) == lasting(record)


def test_a_slow_client_is_left_out(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="timeout"):
        run(client_timeout=0.001)
    record = json.loads((tmp_path / "run0" / "record.json").read_text())
    assert {client["status"] for client in record["rounds"][0]["clients"]} == {"timeout"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(
    "changes",
    [{}, {"protocol": "labels", "public": "reviews:80", "distil_steps": 3}],
    ids=["recipe", "labels"],
)
def test_ray_ends_with_the_same_results_and_payloads(run: Run, changes: dict[str, Any]) -> None:
    pytest.importorskip("ray")
    local, ray = run(**changes), run(engine="ray", workers=2, **changes)
    payloads = [record["ledger"]["payload_bytes"] for record in (local, ray)]
    assert payloads[0] == payloads[1]
    assert ray["provenance"]["machine"]["engine"] == "ray"
    assert ray["results"] == local["results"]
    for ours, theirs in zip(local["rounds"], ray["rounds"], strict=True):
        assert ours["clients"] == theirs["clients"]
        assert ours["payload_bytes"] == theirs["payload_bytes"]
    sizes = [record["ledger"]["message_bytes"]["down"] for record in (local, ray)]
    assert abs(sizes[0] - sizes[1]) < 0.05 * sizes[0]  # ray's node ids are random numbers
    gc.collect()  # ray leaves files open: they are to be missed here, not in the next test


def test_no_newcomers(run: Run, small: dict[str, Any]) -> None:
    from fedseed.data.federated_dataset import open_federated_dataset
    from fedseed.runs.original import find_original

    results = run(newcomers=0)["results"]
    assert results["aggregated"]["newcomers"] is None
    plan = make_plan(RunConfig.parse(small | {"newcomers": 0}))
    dataset = open_federated_dataset(plan.config).dataset
    same = find_original(dataset, "bert-tiny", 16).accuracy(dataset, plan.federated.test_rows(0))
    mean = results["aggregated"]["participants_mean"]["value"]
    assert same.n == results["aggregated"]["participants_mean"]["n"]
    assert results["retention"]["plain"]["aggregated"] == pytest.approx(mean / same.value)


def test_the_rest_go_on_without_a_slow_client(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of three takes over the limit: a task that the executor reports as timed out."""
    from fedseed.federation import executors

    execute = executors.execute

    def slow(app: Any, task: Any) -> Any:
        message = task.message
        pid = executors.context_from_bytes(task.context).node_config["partition-id"]
        if (message.metadata.message_type, message.metadata.group_id, pid) == ("train", "1", 2):
            return executors.Result(task, error=TimeoutError("took over 9 s"))
        return execute(app, task)

    monkeypatch.setattr(executors, "execute", slow)
    record = run(min_clients=2)
    assert [c["status"] for c in record["rounds"][0]["clients"]] == ["ok", "ok", "timeout"]
    assert [c["status"] for c in record["rounds"][1]["clients"]] == ["ok", "ok", "ok"]
    sizes = [e["payload_bytes"]["down"] for e in record["ledger"]["clients"]]
    assert sizes[2] > sizes[0]  # it was sent the seed again


def test_names_that_look_like_markup(
    small: dict[str, Any], tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    path = tmp_path / "c$_$[x].csv"
    lines = [f"word{n} thing,{('[/a]', '$_b$')[n % 2]}" for n in range(90)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    status, out, _ = command("--dry-run", data=path)
    assert status == 0
    assert "[/a]" in out
    status, out, _ = command(data=path, out=tmp_path / "o[/u]")
    assert status == 0
    assert (tmp_path / "o[/u]" / "figure.png").stat().st_size > 10_000


def test_more_classes_and_recipes(small: dict[str, Any], run: Run, tmp_path: Path) -> None:
    path = tmp_path / "three.csv"
    lines = [f"word{n} thing,{('a', 'b', 'c')[n % 3]}" for n in range(90)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    record = run(data=str(path), recipes_per_client=2, aggregator="halving", partition="dirichlet")
    assert record["provenance"]["dataset"]["classes"] == ["a", "b", "c"]
    assert len(record["results"]["zero_shot"]["class_counts"]) == 3
    assert len(record["rounds"][0]["clients"][0]["metrics"]["recipes"]) == 2
