"""Peak memory of a run, all processes together, by the number of its clients."""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich import print as show
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.running import run
from fedseed.cli.exit_status import run_main
from fedseed.results.record import read_record

CLIENTS = (10, 1_000, 10_000)


def peak_memory(clients: int, rounds: int = 3, steps: int = 30) -> int:
    """Peak proportional set size of a run with ten clients in a round, bytes."""
    with tempfile.TemporaryDirectory() as folder:
        out, recipe = Path(folder) / "run", Path(folder) / "recipe.toml"
        recipe.write_text("steps = 1\n")  # of the comparison at the end; --steps is for the rounds
        words = {
            "clients": clients, "cohort": 10, "newcomers": 0, "rounds": rounds, "steps": steps,
            "participants-test-examples": 200, "recipe": recipe, "out": out,
        }  # fmt: skip
        run(["simulations/run_fed.py", *(w for k, v in words.items() for w in (f"--{k}", str(v)))])
        record = read_record(out / "record.json")
    return int(record["provenance"]["peak_memory_bytes"])


def peak_memories(repeats: int, rounds: int = 3, steps: int = 30) -> dict[int, list[int]]:
    """Peaks of several runs by number of clients, the sizes taking turns."""
    by_clients: dict[int, list[int]] = {clients: [] for clients in CLIENTS}
    for _ in range(repeats):
        for clients, peaks in by_clients.items():
            peaks.append(peak_memory(clients, rounds, steps))
    return by_clients


def main(
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each size.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each run.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a client in a round.")] = 30,
) -> None:
    """Print the peak memory of runs with 10, 1,000 and 10,000 clients, ten of them a round."""
    table = Table("clients", "peak memory, GB: median (smallest to largest)", "of the least")
    by_clients = peak_memories(repeats, rounds, steps)
    middle = {clients: statistics.median(peaks) for clients, peaks in by_clients.items()}
    for clients, peaks in by_clients.items():
        low, high = min(peaks) / 1e9, max(peaks) / 1e9
        share = middle[clients] / min(middle.values())
        size = f"{middle[clients] / 1e9:.3f} ({low:.3f} to {high:.3f}, n {repeats})"
        table.add_row(f"{clients:,}", size, f"{100 * share:.1f} %")
    show(table)


if __name__ == "__main__":
    sys.exit(run_main(main))
