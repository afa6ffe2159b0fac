"""Whether the fast path learns what the plain one does: paired over seeds, on the test split.

Three ways of training from the same starts, on the same batches: the lean path in fp32 (row-sparse
AdamW, written-out gradients), the generic path in fp32 (automatic differentiation, torch's dense
AdamW), and the lean path in bf16.
"""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.workload import BATCH, LENGTH, RATE, Workload, open_shards
from fedseed.cli.exit_status import run_main
from fedseed.evaluation.metrics import Accuracy, accuracy, count_correct
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.results.folder import make_folder
from fedseed.results.provenance import code, machine, packages
from fedseed.results.record import RunRecord
from fedseed.runs.original import describe_dataset
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, fit, predict
from fedseed.training.batches import batches
from fedseed.training.generic import GenericTrainer

WAYS = ("lean fp32", "generic fp32", "lean bf16")


def trained(way: str, seed: int, steps: int) -> Accuracy:
    """Accuracy on the common test split after training in one of the ways."""
    federated = open_shards(Workload())
    dataset = federated.dataset
    recipe = Recipe(
        optimiser="adamw", learning_rate=RATE, embedding_multiplier=10.0, schedule="linear",
        warmup=0.1, steps=steps, batch_size=BATCH, max_length=LENGTH,
    )  # fmt: skip
    model = grow(encode(random_seed("bert-tiny", 2, random_key(seed, "equivalence"), "scaled")))
    rng = generator(seed, "equivalence")
    compute = Compute("bf16" if way.endswith("bf16") else "fp32")
    if way.startswith("lean"):
        fit(model, dataset.table, dataset.train, recipe, rng, compute)
    else:
        rng.integers(2**63)  # fit draws dropout's seed first
        order = batches(dataset.train, BATCH, rng)
        trainer = GenericTrainer(model, recipe, compute, 0)
        for _ in range(steps):
            trainer.step([next(order)], dataset.table)
    likelihoods = predict(model, dataset.table, dataset.test, LENGTH, compute)
    return accuracy([count_correct(likelihoods, dataset.table.labels[dataset.test])])


def paired(values: list[float], others: list[float]) -> dict[str, Any]:
    """Mean difference with its 95 % interval (paired t, Student 1908).

    Differences that are all alike have no spread to judge them by: no interval and no p.
    """
    differences = np.subtract(values, others)
    mean = {"mean_difference": float(differences.mean()), "n": len(values)}
    if np.ptp(differences) == 0:
        return mean | {"ci95": None, "p": None}
    test = stats.ttest_rel(values, others)
    low, high = test.confidence_interval(0.95)
    return mean | {"ci95": [float(low), float(high)], "p": float(test.pvalue)}


def main(
    seeds: Annotated[int, typer.Option(min=2, help="Starts and orders of examples.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of 32 reviews.")] = 250,
    out: Annotated[str | None, typer.Option(help="Folder for the record.")] = None,
) -> None:
    """Train, test, compare, and write a record of kind ``benchmark``."""
    torch.set_num_threads(1)
    show = Console()
    name = time.strftime("equivalence-%Y%m%d-%H%M%S")
    folder = make_folder(Path(out) if out else Path("results/scratch") / name)
    started, begun = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tests: dict[str, list[Accuracy]] = {way: [] for way in WAYS}
    for seed in range(seeds):
        for way in WAYS:
            tests[way].append(trained(way, seed, steps))
        line = ", ".join(f"{way} {100 * tests[way][-1].value:.1f} %" for way in WAYS)
        show.print(f"seed {seed}: {line}", highlight=False)
    provenance = {
        **code(), "packages": packages(), "machine": machine("single", 1),
        "dataset": describe_dataset(open_shards(Workload()).dataset), "started": begun,
        "wall_seconds": round(time.monotonic() - started, 3),
    }  # fmt: skip
    config, results = {"seeds": seeds, "steps": steps}, compared(tests)
    record = RunRecord("benchmark", config, provenance, "completed", results=results)
    record.write(folder / "record.json")
    show.print(table(results))
    print(folder / "record.json")


def compared(tests: dict[str, list[Accuracy]]) -> dict[str, Any]:
    """All accuracies, and every way against the first, seed by seed."""
    values = {way: [accuracy.value for accuracy in of_way] for way, of_way in tests.items()}
    base = values[WAYS[0]]
    return {
        "accuracy": {
            way: [accuracy.to_record() for accuracy in of_way] for way, of_way in tests.items()
        },
        "paired": {way: paired(values[way], base) for way in WAYS[1:]},
    }


def table(results: dict[str, Any]) -> Table:
    """Mean accuracies and paired differences."""
    shown = Table("way", "mean accuracy", f"minus {WAYS[0]}", "95 % interval", "p")
    for way in WAYS:
        cells = ["", "", ""]
        if way != WAYS[0]:
            result = results["paired"][way]
            cells = [f"{100 * result['mean_difference']:+.2f} points", "the same every time", ""]
            if result["ci95"] is not None:
                low, high = result["ci95"]
                cells[1:] = f"{100 * low:+.2f} to {100 * high:+.2f}", f"{result['p']:.2f}"
        mean = np.mean([accuracy["value"] for accuracy in results["accuracy"][way]])
        shown.add_row(way, f"{100 * mean:.2f} %", *cells)
    return shown


if __name__ == "__main__":
    sys.exit(run_main(main))
