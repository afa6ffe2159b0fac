"""The systems that are timed: fedseed as a user starts it, and the references' test runs."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.running import Finished, run
from benchmarks.workload import Workload
from fedseed.evaluation.metrics import ClassCounts, accuracy
from fedseed.recipe import Recipe
from fedseed.results.record import read_record


def run_fedseed(
    work: Workload,
    scheme: str,
    recipe: Recipe,
    test_every: int,
    run_seed: int,
    precision: str = "auto",
) -> tuple[Finished, dict[str, Any]]:
    """Federated averaging as a user starts it; returns what was printed and the record."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "recipe.toml", Path(folder) / "run"
        path.write_text(recipe.replace(steps=1).to_toml())  # --steps is for the rounds
        options = {
            "protocol": "weights", "scheme": scheme, "clients": work.clients, "newcomers": 0,
            "rounds": work.rounds, "steps": work.steps, "recipe": path, "run-seed": run_seed,
            "test-every": test_every, "participants-test-examples": 2, "out": out,
            "precision": precision,
        }  # fmt: skip
        flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        done = run(["simulations/run_fed.py", *flags])
        return done, read_record(out / "record.json")


def reference_accuracy(event: dict[str, Any]) -> dict[str, Any]:
    """Accuracy from the event of a reference program's test run, in record.json's form."""
    counts = ClassCounts(tuple(event["correct"]), tuple(event["examples"]))
    return accuracy([counts]).to_record()
