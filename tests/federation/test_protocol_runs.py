"""Whole runs of federated averaging, of cohorts, and of clients trained as one stack."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.federation import engines
from fedseed.federation.cohort import draw_cohort
from fedseed.training import Compute, StackingTrainer
from tests.federation.running import Run, command_line, killed, lasting

WEIGHTS: dict[str, Any] = {"protocol": "weights", "test_every": 1}


def test_weights_are_the_same_for_any_number_of_workers(run: Run, tmp_path: Path) -> None:
    alone, together = run(**WEIGHTS), run(**WEIGHTS, workers=2)
    assert lasting(alone) == lasting(together)
    assert [r["test"]["n"] for r in alone["rounds"]] == [60, 60]
    ledger = alone["ledger"]
    assert ledger["payload_bytes"]["per_client_round_max"]["up"] == 17_544_712 + 12
    assert ledger["rounds"][0]["payload_bytes"]["down"] < 1000  # the seed is the start
    assert ledger["rounds"][1]["payload_bytes"]["down"] > 3 * 17_544_712
    # Weights are in the transcript by length and digest only.
    assert (tmp_path / "run0" / "transcript.jsonl").stat().st_size < 100_000
    from safetensors.numpy import load_file

    model = load_file(tmp_path / "run0" / "model" / "model.safetensors")
    assert sum(part.size for part in model.values()) == 4_386_178
    assert not (tmp_path / "run0" / "server.bin").exists()


def test_federated_averaging_learns(run: Run) -> None:
    recipe = Path(__file__).parent / "recipe.toml"
    record = run(**WEIGHTS, rounds=3, steps=15, recipe=str(recipe))
    accuracies = [r["test"]["value"] for r in record["rounds"]]
    assert accuracies[-1] > 0.9
    newcomers = record["results"]["aggregated"]["newcomers"]
    assert newcomers["value"] == pytest.approx(accuracies[-1])


def test_an_interrupted_average_is_taken_up(
    small: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    changes = {**WEIGHTS, "rounds": 4, "steps": 4}
    whole = run(**changes)
    out = tmp_path / "killed"
    words = command_line(small, out, **changes)
    killed(words, out, exchanges=5)
    assert (out / "server.bin").exists()
    resumed = subprocess.run([*words[:2], "--resume", str(out)], capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert lasting(json.loads((out / "record.json").read_text())) == lasting(whole)


def test_cohorts_are_drawn_anew_and_without_repetition() -> None:
    config = RunConfig(clients=1000, cohort=20)
    drawn = [draw_cohort(config, number) for number in range(1, 4)]
    assert all(len(set(one)) == 20 and max(one) < 1000 for one in drawn)
    assert drawn[0] != drawn[1] != drawn[2]
    assert drawn == [draw_cohort(config, number) for number in range(1, 4)]
    assert draw_cohort(RunConfig(clients=4), 1) == [0, 1, 2, 3]


def test_a_run_of_cohorts(run: Run) -> None:
    """More clients than examples to validate on: those with one example are left out."""
    record = run(clients=150, cohort=6, newcomers=0, rounds=3)
    statuses = {client["status"] for result in record["rounds"] for client in result["clients"]}
    assert statuses == {"ok", "rejected"}
    for result in record["rounds"]:
        assert len(result["clients"]) == 6
        for client in result["clients"]:
            if client["status"] != "ok":
                assert client["reason"] == "not believable: 0 validation examples"
    assert record["results"]["aggregated"]["participants_mean"]["n"] == 20


def test_clients_trained_as_one_stack_are_those_trained_one_after_another(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on a GPU, on the CPU: a device that is not called ``cpu`` is stacked."""
    alone = run(**WEIGHTS, precision="fp32")
    made: list[Any] = []

    def stacking(_: Compute, workers: int) -> Any:
        made.append(StackingTrainer(Compute(), workers=workers))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(engines, "compute_of", lambda _: Compute(device="stacked"))
        patch.setattr(engines, "StackingTrainer", stacking)
        together = run(**WEIGHTS, precision="fp32")
    assert made[0].stacks[:2] == [3, 3]
    for ours, theirs in zip(alone["rounds"], together["rounds"], strict=True):
        losses = [
            [c["metrics"]["train_loss"] for c in result["clients"]] for result in (ours, theirs)
        ]
        assert np.allclose(*losses, atol=1e-4)


def test_a_stack_of_recipes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = run(precision="fp32")
    with monkeypatch.context() as patch:
        patch.setattr(engines, "compute_of", lambda _: Compute(device="stacked"))
        patch.setattr(
            engines,
            "StackingTrainer",
            lambda _, workers: StackingTrainer(Compute(), workers=workers),
        )
        together = run(precision="fp32")
    for ours, theirs in zip(alone["rounds"], together["rounds"], strict=True):
        for one, other in zip(ours["clients"], theirs["clients"], strict=True):
            mine, yours = one["metrics"]["recipes"][0], other["metrics"]["recipes"][0]
            assert mine["learning_rate"] == pytest.approx(yours["learning_rate"], rel=1e-3)
            assert mine["validation_loss"] == pytest.approx(yours["validation_loss"], abs=1e-3)
