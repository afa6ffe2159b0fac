"""Train the original: ``python simulations/run_original.py --out results/official/original``.

The original is the same model trained on all shards together; its accuracy is what 100 %
retention means. A run whose data, model and split match takes it from results/official.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedseed.cli.exit_status import run_main


def main(
    out: Annotated[str, typer.Option(help="Folder for record.json.")],
    model: Annotated[str, typer.Option(help="Architecture.")] = "bert-tiny",
    data: Annotated[str, typer.Option(help="bundled, hub, hub:NAME, or a path.")] = "bundled",
    max_length: Annotated[int, typer.Option(help="Tokens kept of each text.")] = 128,
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps; without it one epoch.", min=1)
    ] = None,
) -> None:
    """Train the reference model of a data set on all shards together."""
    from fedseed.config import RunConfig
    from fedseed.data.federated_dataset import open_dataset
    from fedseed.results.folder import RECORD, locked, make_folder
    from fedseed.results.live import make_display
    from fedseed.results.table import percent
    from fedseed.runs.original import train_original

    config = RunConfig.parse({"model": model, "data": data, "max_length": max_length})
    display = make_display(quiet=False, console=Console())
    dataset = open_dataset(config, display.tokenising)
    folder = make_folder(Path(out))
    try:
        with locked(folder):
            record, _ = train_original(dataset, model, max_length, display.original, steps)
            record.write(folder / RECORD)
    finally:
        display.stop()
    accuracy = record.results["original"]
    low, high = accuracy["ci95"]
    print(
        f"{accuracy['name']}: accuracy {percent(accuracy['value'])}, 95 % interval {percent(low)} "
        f"to {percent(high)}, n {accuracy['n']:,}, balanced {percent(accuracy['balanced'])}, "
        f"majority baseline {percent(accuracy['majority_baseline'])}"
    )


if __name__ == "__main__":
    sys.exit(run_main(main))
