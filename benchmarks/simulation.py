"""fedseed against a plain loop and against Flower on ray, both with Hugging Face's module.

The systems take turns, several times over, on the same shards of the bundled reviews. What is
timed is everything from the start of the process to the end of the last round, imports
included; tests come afterwards.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.memory import peak_memories
from benchmarks.running import Finished, run, spread
from benchmarks.startup import seconds_to_first_step
from benchmarks.workload import BATCH, LENGTH, RATE, Workload, open_shards
from fedseed.cli.app import run_main
from fedseed.evaluation.metrics import ClassCounts, accuracy
from fedseed.recipe import Recipe
from fedseed.results.folder import make_folder
from fedseed.results.provenance import code, machine, packages
from fedseed.results.record import RunRecord, read_record
from fedseed.runs.original import describe_dataset
from fedseed.training.compute import choose

_BEST = Recipe(
    optimiser="adamw", learning_rate=3e-4, embedding_multiplier=20.0, schedule="constant",
    warmup=0.1, label_smoothing=0.1, max_length=192, batch_size=20, steps=50,
)  # fmt: skip
"""Chosen on reviews set aside from the training split (docs/decisions/lean-training.md)."""
_BEST_AT_128 = _BEST.replace(max_length=LENGTH, batch_size=BATCH, steps=62)
"""The same with the reference's length, batches and steps: what reading further is worth."""
_OUR_ROUNDS, _THEIR_ROUNDS = 4, 6
_TARGET = 0.83


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
        return done, json.loads((out / "record.json").read_text())


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
            accuracies[name] = _accuracy(events[-1])
        last = ", ".join(f"{name} {found[-1]:.1f} s" for name, found in seconds.items())
        show.print(f"turn {number + 1} of {size.repeats}: {last}", highlight=False)
    return {
        "end_to_end_seconds": {name: spread(found) for name, found in seconds.items()},
        "end_to_end_ratio": _ratios(seconds, lambda ours, theirs: theirs / ours),
        "steps_per_second": {name: spread(found) for name, found in rates.items()},
        "steps_per_second_ratio": _ratios(rates, lambda ours, theirs: ours / theirs),
        "accuracy": accuracies,
    }


def _precisions() -> dict[str, str]:
    """As fedseed decides by itself; in fp32 too, the references' precision, if that differs."""
    fp32 = {} if choose("auto").precision == "fp32" else {"fedseed_fp32": "fp32"}
    return {"fedseed": "auto", **fp32}


def _note(table: dict[str, list[float]], name: str, value: float) -> None:
    table.setdefault(name, []).append(value)


def _ratios(found: dict[str, list[float]], ratio: Any) -> dict[str, Any]:
    """Ratios within each turn, so that a slow minute of the machine slows both."""
    return {
        name: spread([ratio(ours, other) for ours, other in zip(found["fedseed"], theirs)])
        for name, theirs in found.items()
        if name != "fedseed"
    }


def _accuracy(event: dict[str, Any]) -> dict[str, Any]:
    """What a reference program's test run comes down to."""
    counts = ClassCounts(tuple(event["correct"]), tuple(event["examples"]))
    return accuracy([counts]).to_record()


def measure_shares(repetitions: int) -> dict[str, Any]:
    """Share of the matrix-product rate that a training step reaches."""
    found: dict[str, Any] = {"share_of_matrix_rate": {}, "step": {}}
    for precision in ("fp32", "bf16"):
        events = run(["-m", "benchmarks.matrix", precision, str(repetitions)]).events()
        found["share_of_matrix_rate"][precision] = spread([event["share"] for event in events])
        found["step"][precision] = {
            "floating_point_operations": int(events[0]["operations"]),
            "seconds": spread([event["step_seconds"] for event in events]),
            "matrix_gflop_per_second": spread([event["rate"] / 1e9 for event in events]),
        }
    return found


def measure_memory(size: Size) -> dict[str, Any]:
    """Peak memory by number of clients: medians, and how far the runs lie apart."""
    found = peak_memories(size.repeats, *size.memory)
    return {
        "peak_memory_bytes": {str(n): int(statistics.median(own)) for n, own in found.items()},
        "peak_memory_spread": {str(n): spread(own) for n, own in found.items()},
    }


def measure_target(repeats: int, show: Console) -> dict[str, Any]:
    """Time to 83 % with the best seed and recipe; Flower on ray with the usual ones, once."""
    found: dict[str, Any] = {}
    ours: dict[str, list[float]] = {}
    for name, recipe in (("fedseed", _BEST), ("fedseed_at_128", _BEST_AT_128)):
        times, tests, rounds = _times_to_target(recipe, repeats)
        show.print(f"{name}, tests after each round: {tests}", highlight=False)
        found[f"{name}_recipe"], found[f"{name}_tests"] = recipe.model_dump(), tests
        found[f"{name}_reached"] = rounds
        # A ratio of the lucky runs alone would say nothing.
        if len(times) == repeats:
            ours[name], found[name] = times, spread(times)
    usual = Workload(rounds=_THEIR_ROUNDS, steps=_BEST_AT_128.steps)
    events = run(["-m", "benchmarks.flower_ray", *usual.words(), "each"]).events()
    ends = {event["round"]: event["seconds"] for event in events if event["event"] == "round"}
    tested = [event for event in events if event["event"] == "tested"]
    their_tests = [_accuracy(event)["value"] for event in tested]
    show.print(f"flower_ray_hf: {their_tests}", highlight=False)
    reached = _rounds_to_target(their_tests)
    # A reference that never gets there is counted with all its rounds: a lower bound.
    theirs = ends[reached or usual.rounds]
    found |= {
        "flower_ray_hf": spread([theirs]), "flower_ray_hf_reached": reached,
        "flower_ray_hf_tests": their_tests,
        "ratio_at_128": _sooner(theirs, ours.get("fedseed_at_128")),
    }  # fmt: skip
    return {
        "time_to_83_percent_ratio": _sooner(theirs, ours.get("fedseed")),
        "time_to_83_percent": found,
    }


def _times_to_target(
    recipe: Recipe, repeats: int
) -> tuple[list[float], list[list[float]], list[int | None]]:
    """Seconds of the runs that reach the target; all runs' tests by round, and when they do."""
    work = Workload(rounds=_OUR_ROUNDS, steps=recipe.steps)
    times: list[float] = []
    all_tests: list[list[float]] = []
    all_reached: list[int | None] = []
    for number in range(repeats):
        done, record = run_fedseed(work, "scaled", recipe, 1, number)
        all_tests.append([result["test"]["value"] for result in record["rounds"]])
        reached = _rounds_to_target(all_tests[-1])
        all_reached.append(reached)
        if reached is not None:
            # Tests between the rounds are no part of training.
            rounds = sum(result["seconds"] for result in record["rounds"][:reached])
            times.append(done.first("round 1:") - record["rounds"][0]["seconds"] + rounds)
    return times, all_tests, all_reached


def _rounds_to_target(tests: list[float]) -> int | None:
    return next((number for number, value in enumerate(tests, 1) if value >= _TARGET), None)


def _sooner(theirs: float, ours: list[float] | None) -> dict[str, float] | None:
    return None if ours is None else spread([theirs / own for own in ours])


def table(results: dict[str, Any]) -> Table:
    """Medians and ratios of the systems."""
    shown = Table("system", "end of last round, s", "fedseed faster", "steps/s", "accuracy")
    for name, found in results["end_to_end_seconds"].items():
        ratio = results["end_to_end_ratio"].get(name)
        rate = results["steps_per_second"].get(name)
        test = results["accuracy"][name]
        low, high = test["ci95"]
        shown.add_row(
            name,
            f"{found['median']:.1f} ({found['min']:.1f} to {found['max']:.1f})",
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
        values = read_record(path)
        record = RunRecord(*(values[name] for name in ("kind", "config", "provenance")))
        record.results = values["results"]
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
    if target and size.target_repeats:
        parts["time_to_83_percent_ratio"] = lambda: measure_target(size.target_repeats, show)
    for key, part in parts.items():
        if key not in record.results:
            found = part()
            _save(record, path, started)
            record.results |= found
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


def _save(record: RunRecord, path: Path, started: float) -> None:
    """Write what is measured, with the time that it took."""
    # What an interruption cut off is not known: then there is no sum.
    before = record.provenance.get("wall_seconds", None if record.results else 0.0)
    if before is not None:
        record.provenance["wall_seconds"] = round(before + time.monotonic() - started, 3)
    record.write(path)


if __name__ == "__main__":
    sys.exit(run_main(main))
