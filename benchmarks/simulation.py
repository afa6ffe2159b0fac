"""fedseed against a plain loop and against Flower on ray, both with Hugging Face's module.

The systems take turns, several times over, on the same shards of the bundled reviews. What is
timed is everything from the start of the process to the end of the last round, imports
included; tests come afterwards.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.body import measure_body
from benchmarks.memory import peak_memories
from benchmarks.running import run, spread
from benchmarks.startup import seconds_to_first_step
from benchmarks.systems import reference_accuracy, run_fedseed
from benchmarks.target import measure_target
from benchmarks.workload import RATE, Workload, open_shards
from fedseed.cli.exit_status import run_main
from fedseed.recipe import Recipe
from fedseed.results.folder import make_folder
from fedseed.results.provenance import code, machine, packages
from fedseed.results.record import RunRecord, read_record
from fedseed.runs.original import describe_dataset
from fedseed.training.precision_and_device import choose


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    work: Workload
    repeats: int
    memory: tuple[int, int]
    """Rounds and steps of the memory runs."""
    target_repeats: int


FULL = Size(Workload(), 3, (3, 30), 3)
QUICK = Size(Workload(clients=4, rounds=2, steps=8), 2, (2, 5), 0)


def measure_workload(size: Size, show: Console) -> dict[str, Any]:
    """All systems in turns: seconds to the end of the last round, steps a second, accuracy."""
    work, usual = size.work, Recipe(optimiser="adamw", learning_rate=RATE, steps=size.work.steps)
    seconds: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    accuracies: dict[str, dict[str, Any]] = {}
    for number in range(size.repeats):
        for name, precision in _precisions().items():
            done, record = run_fedseed(work, "bert", usual, work.rounds, 0, precision)
            _note(seconds, name, done.first(f"round {work.rounds}:"))
            trained = sum(result["seconds"] for result in record["rounds"])
            _note(rates, name, work.total_steps / trained)
            accuracies[name] = record["rounds"][-1]["test"]
        for name, module in (("plain_hf", "plain_loop"), ("flower_ray_hf", "flower_ray")):
            events = run(["-m", f"benchmarks.{module}", *work.words()]).events()
            ends = [event["seconds"] for event in events if event["event"] == "round"]
            begun = [event["seconds"] for event in events if event["event"] == "training"]
            _note(seconds, name, ends[-1])
            if begun:
                _note(rates, name, work.total_steps / (ends[-1] - begun[0]))
            accuracies[name] = reference_accuracy(events[-1])
        last = ", ".join(f"{name} {times[-1]:.1f} s" for name, times in seconds.items())
        show.print(f"turn {number + 1} of {size.repeats}: {last}", highlight=False)
    return {
        "end_to_end_seconds": {name: spread(times) for name, times in seconds.items()},
        "end_to_end_ratio": _ratios(seconds, lambda ours, theirs: theirs / ours),
        "steps_per_second": {name: spread(values) for name, values in rates.items()},
        "steps_per_second_ratio": _ratios(rates, lambda ours, theirs: ours / theirs),
        "accuracy": accuracies,
    }


def _precisions() -> dict[str, str]:
    """As fedseed decides by itself; in fp32 too, the references' precision, if that differs."""
    fp32 = {} if choose("auto").precision == "fp32" else {"fedseed_fp32": "fp32"}
    return {"fedseed": "auto", **fp32}


def _note(table: dict[str, list[float]], name: str, value: float) -> None:
    table.setdefault(name, []).append(value)


def _ratios(by_system: dict[str, list[float]], ratio: Any) -> dict[str, Any]:
    """Ratios within each turn, so that a slow minute of the machine slows both."""
    return {
        name: spread([ratio(ours, other) for ours, other in zip(by_system["fedseed"], theirs)])
        for name, theirs in by_system.items()
        if name != "fedseed"
    }


def measure_shares(repetitions: int) -> dict[str, Any]:
    """Share of the matrix-product rate that a training step reaches."""
    shares: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    for precision in ("fp32", "bf16"):
        events = run(["-m", "benchmarks.matrix", precision, str(repetitions)]).events()
        shares[precision] = spread([event["share"] for event in events])
        steps[precision] = {
            "floating_point_operations": int(events[0]["operations"]),
            "seconds": spread([event["step_seconds"] for event in events]),
            "matrix_gflop_per_second": spread([event["rate"] / 1e9 for event in events]),
        }
    return {"share_of_matrix_rate": shares, "step": steps}


def measure_memory(size: Size) -> dict[str, Any]:
    """Peak memory by number of clients: medians, and how far the runs lie apart."""
    by_clients = peak_memories(size.repeats, *size.memory)
    medians = {str(n): int(statistics.median(peaks)) for n, peaks in by_clients.items()}
    return {
        "peak_memory_bytes": medians,
        "peak_memory_spread": {str(n): spread(peaks) for n, peaks in by_clients.items()},
    }


def table(results: dict[str, Any]) -> Table:
    """Medians and ratios of the systems."""
    shown = Table("system", "end of last round, s", "fedseed faster", "steps/s", "accuracy")
    for name, seconds in results["end_to_end_seconds"].items():
        ratio = results["end_to_end_ratio"].get(name)
        rate = results["steps_per_second"].get(name)
        test = results["accuracy"][name]
        low, high = test["ci95"]
        shown.add_row(
            name,
            f"{seconds['median']:.1f} ({seconds['min']:.1f} to {seconds['max']:.1f})",
            "" if ratio is None else f"x {ratio['median']:.2f}",
            "" if rate is None else f"{rate['median']:.1f}",
            f"{100 * test['value']:.1f} % ({100 * low:.1f} - {100 * high:.1f}, n {test['n']:,})",
        )
    return shown


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller work, under 5 minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record's path last.")] = False,
    out: Annotated[str | None, typer.Option(help="Folder for the record.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Measure what is missing in this folder's record.")
    ] = None,
    body: Annotated[
        bool, typer.Option(help="Measure a published body's step too, which needs peft.")
    ] = True,
    target: Annotated[
        bool, typer.Option(help="Measure the time to 83 % too, which takes 12 minutes.")
    ] = True,
) -> None:
    """Measure everything, print a table, write a record of kind ``benchmark``."""
    show = Console(stderr=as_json)
    size = QUICK if quick else FULL
    started = time.monotonic()
    if resume is not None:
        path = Path(resume) / "record.json"
        record = _gone_on(path)
    else:
        name = time.strftime("benchmark-%Y%m%d-%H%M%S")
        path = make_folder(Path(out) if out else Path("results/scratch") / name) / "record.json"
        record = _fresh(size, quick)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "end_to_end_ratio": lambda: measure_workload(size, show),
        "share_of_matrix_rate": lambda: measure_shares(2 if quick else 9),
        "seconds_to_first_step": lambda: {
            "seconds_to_first_step": spread(seconds_to_first_step(size.repeats))
        },
        "peak_memory_bytes": lambda: measure_memory(size),
    }
    if body:
        parts["body"] = lambda: measure_body(1 if quick else 3, show)
    if target and size.target_repeats:
        parts["time_to_83_percent_ratio"] = lambda: measure_target(size.target_repeats, show)
    for key, part in parts.items():
        if key not in record.results:
            results = part()
            _save(record, path, started)
            record.results |= results
            record.write(path)
            started = time.monotonic()
    record.status = "completed"
    _save(record, path, started)
    show.print(table(record.results))
    print(path)


def _fresh(size: Size, quick: bool) -> RunRecord:
    """A record without results."""
    precision = choose("auto").precision
    return RunRecord(
        "benchmark",
        {"quick": quick, "workload": vars(size.work), "repeats": size.repeats},
        {
            **code(), "packages": packages(),
            "machine": machine("local", 2, precision=precision),
            "dataset": describe_dataset(open_shards(size.work).dataset),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )  # fmt: skip


def _gone_on(path: Path) -> RunRecord:
    """A record with what is measured already, which says whose code the rest will be."""
    values = read_record(path)
    record = RunRecord(*(values[name] for name in ("kind", "config", "provenance")))
    record.results = values["results"]
    record.provenance.setdefault("measured_later", []).append(code())
    return record


def _save(record: RunRecord, path: Path, started: float) -> None:
    """Write what is measured, with the time that it took."""
    # What an interruption cut off is not known: then there is no sum.
    before = record.provenance.get("wall_seconds", None if record.results else 0.0)
    if before is not None:
        record.provenance["wall_seconds"] = round(before + time.monotonic() - started, 3)
    record.write(path)


if __name__ == "__main__":
    sys.exit(run_main(main))
