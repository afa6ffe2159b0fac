"""How long a user waits for the first training step, caches warm."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.running import run, spread
from fedseed.cli.exit_status import run_main


def seconds_to_first_step(repeats: int) -> list[float]:
    """Seconds from process start until a client's single training step has come back."""
    options = {
        "protocol": "weights", "clients": 2, "newcomers": 0, "rounds": 1, "steps": 1,
        "test-examples": 100,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    seconds: list[float] = []
    for number in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/run"
            done = run(["simulations/run_fed.py", *words, "--out", out])
        if number:  # the first run warms the caches
            seconds.append(done.first("round 1, client"))
    return seconds


def main(repeats: Annotated[int, typer.Option(min=1, help="Measurements.")] = 5) -> None:
    """Print the seconds to the first training step."""
    seconds = spread(seconds_to_first_step(repeats))
    print(
        f"first training step after {seconds['median']:.2f} s "
        f"({seconds['min']:.2f} to {seconds['max']:.2f}, n = {seconds['n']})"
    )


if __name__ == "__main__":
    sys.exit(run_main(main))
