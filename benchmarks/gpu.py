"""Clients trained as one stacked model on a GPU against the same clients one after another.

Each client takes workload W's local steps. What is timed is a whole fine-tuning: the weights'
transfer to the GPU and back included, growing the model and the messages not. Sizes and precisions
take turns. A whole simulation, as a user starts it, is timed beside it.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.running import run, spread
from benchmarks.workload import BATCH, LENGTH, RATE, Workload, open_shards
from fedseed.cli.exit_status import run_main
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.results.folder import make_folder
from fedseed.results.provenance import code, machine, packages
from fedseed.results.record import RunRecord, read_record
from fedseed.runs.original import describe_dataset
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, FitJob, FitResult, fit_together
from fedseed.training.precision_and_device import PRECISIONS, choose
from fedseed.training.trainer import stack_bytes

_ALONE = 4
"""Clients that are timed one after another."""


def jobs(federated: FederatedDataset, clients: int, steps: int) -> list[FitJob]:
    """Some clients' fine-tuning, from one model."""
    seed = encode(random_seed("bert-tiny", 2, 1, "bert"))
    recipe = Recipe(
        optimiser="adamw", learning_rate=RATE, batch_size=BATCH, max_length=LENGTH, steps=steps
    )
    shards = [federated.shard(number).whole() for number in range(federated.config.clients)]
    return [
        FitJob(
            grow(seed), federated.dataset.table, shards[number % len(shards)], recipe,
            generator(0, "benchmark", 0, number),
        )
        for number in range(clients)
    ]  # fmt: skip


def timed(work: list[FitJob], compute: Compute, at_once: int) -> tuple[float, list[FitResult]]:
    """Seconds until all are trained, in stacks of a size, and their results."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    results: list[FitResult] = []
    for start in range(0, len(work), at_once):
        results += fit_together(work[start : start + at_once], compute)
    torch.cuda.synchronize()
    return time.perf_counter() - started, results


def measure_stacks(
    sizes: list[int], repeats: int, steps: int, device: str, show: Console
) -> dict[str, Any]:
    """Clients a second by precision and size of the stack."""
    federated = open_shards(Workload())
    rates: dict[str, dict[int, list[float]]] = {p: {n: [] for n in sizes} for p in PRECISIONS}
    memory: dict[str, dict[str, int]] = {}
    differences = dict.fromkeys(PRECISIONS, 0.0)
    for precision in PRECISIONS:
        timed(jobs(federated, 2, 3), Compute(precision, device), 2)  # loads the kernels
    for turn in range(repeats):
        for precision in PRECISIONS:
            alone: list[FitResult] = []
            for size in sizes:
                work = jobs(federated, max(size, _ALONE), steps)
                torch.cuda.reset_peak_memory_stats()
                seconds, results = timed(work, Compute(precision, device), size)
                rates[precision][size].append(len(work) / seconds)
                alone = alone or results
                difference = _largest_difference(alone, results)
                differences[precision] = max(differences[precision], difference)
            memory[precision] = {
                "clients": size, "measured": torch.cuda.max_memory_allocated(),
                "estimated": size * stack_bytes(work[0]),
            }  # fmt: skip
        last = ", ".join(f"{p} {by_size[sizes[-1]][-1]:.1f}" for p, by_size in rates.items())
        show.print(f"turn {turn + 1} of {repeats}: {last} clients/s", highlight=False)
    return {
        "clients_per_second": {
            p: {str(size): spread(values) for size, values in by_size.items()}
            for p, by_size in rates.items()
        },
        "stacked_ratio": {p: _ratios(by_size) for p, by_size in rates.items()},
        "largest_loss_difference": differences,
        "memory_of_largest_stack_bytes": memory,
    }


def _ratios(by_size: dict[int, list[float]]) -> dict[str, dict[str, float]]:
    """Rates of stacks in those of single clients, turn by turn."""
    return {
        str(size): spread([v / one for v, one in zip(values, by_size[1], strict=True)])
        for size, values in by_size.items()
    }


def _largest_difference(alone: list[FitResult], stacked: list[FitResult]) -> float:
    """Between the losses of the clients that were trained both ways, nats."""
    return max(abs(a.train_loss - b.train_loss) for a, b in zip(alone, stacked))


def measure_simulation(clients: int, steps: int, devices: list[str]) -> dict[str, Any]:
    """Whole simulations of W with more clients: seconds a round, by device."""
    results: dict[str, Any] = {"clients": clients, "rounds": 3, "steps": steps}
    recipe = Recipe(optimiser="adamw", learning_rate=RATE, steps=1)
    for device in devices:
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder) / "recipe.toml", Path(folder) / "run"
            path.write_text(recipe.to_toml())
            options = {
                "protocol": "weights", "scheme": "bert", "clients": clients, "newcomers": 0,
                "rounds": 3, "steps": steps, "recipe": path, "test-every": 3, "device": device,
                "participants-test-examples": 2, "out": out,
            }  # fmt: skip
            flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
            done = run(["simulations/run_fed.py", *flags])
            record = read_record(out / "record.json")
        rounds = [result["seconds"] for result in record["rounds"]]
        results[device] = {
            "seconds_to_end_of_last_round": round(done.first("round 3:"), 3),
            "seconds_of_rounds": rounds,
            "clients_per_second": round(clients / statistics.median(rounds), 3),
            "workers": record["provenance"]["machine"]["workers"],
            "accuracy": record["rounds"][-1]["test"],
        }
    return results


def table(results: dict[str, Any]) -> Table:
    """Clients a second by size of the stack."""
    shown = Table("clients at once", *(f"{p}, clients/s (ratio)" for p in PRECISIONS))
    rates, ratios = results["clients_per_second"], results["stacked_ratio"]
    for size in rates[PRECISIONS[0]]:
        cells = [
            f"{rates[p][size]['median']:.1f} (x {ratios[p][size]['median']:.1f})"
            for p in PRECISIONS
        ]
        shown.add_row(size, *cells)
    return shown


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Few and small measurements.")] = False,
    device: Annotated[str, typer.Option(help="A CUDA device.")] = "cuda:0",
    out: Annotated[str | None, typer.Option(help="Folder for the record.")] = None,
) -> None:
    """Measure, print a table, write a record of kind ``benchmark``."""
    choose(device=device)  # says so where there is no such device
    show = Console()
    sizes, repeats, steps = ([1, 4], 1, 5) if quick else ([1, 4, 16, 64, 256], 3, 30)
    name = time.strftime("benchmark-gpu-%Y%m%d-%H%M%S")
    folder = make_folder(Path(out) if out else Path("results/scratch") / name)
    about = machine("local", 1, device=torch.cuda.get_device_name(device), precision="both")
    record = RunRecord(
        "benchmark",
        {"quick": quick, "sizes": sizes, "repeats": repeats, "workload": vars(Workload())},
        {
            **code(), "packages": packages(), "machine": about,
            "dataset": describe_dataset(open_shards(Workload()).dataset),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )  # fmt: skip
    started = time.monotonic()
    record.results = measure_stacks(sizes, repeats, steps, device, show)
    record.write(folder / "record.json")
    show.print(table(record.results))
    clients = 10 if quick else 100
    record.results["simulation"] = measure_simulation(clients, steps, [device, "cpu"])
    record.status = "completed"
    record.provenance["wall_seconds"] = round(time.monotonic() - started, 3)
    record.write(folder / "record.json")
    for name in (device, "cpu"):
        rate = record.results["simulation"][name]["clients_per_second"]
        show.print(f"a whole simulation of {clients} clients, {name}: {rate} clients/s")
    print(folder / "record.json")


if __name__ == "__main__":
    sys.exit(run_main(main))
