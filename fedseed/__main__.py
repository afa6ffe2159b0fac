"""``python -m fedseed``: look at records and seeds."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedseed.cli import run_app
from fedseed.errors import OutputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command()
def show(
    record: Annotated[str, typer.Argument(help="record.json of a completed federated run.")],
) -> None:
    """Print the tables of a record."""
    from fedseed.results.record import read_record
    from fedseed.results.table import summary

    found = read_record(Path(record))
    if found.get("kind") != "federated" or found.get("status") != "completed":
        raise OutputError(f"{record} is not the record of a completed federated run")
    Console().print(summary(found), highlight=False, soft_wrap=True)


@app.command()
def inspect(seed: Annotated[str, typer.Argument(help="A .fseed file.")]) -> None:
    """Print what a seed says, and how many bytes it takes."""
    from fedseed.models.registry import find_model
    from fedseed.seeds.codec import describe, encode, read_seed

    found = read_seed(Path(seed))
    size = len(encode(found))
    weights = find_model(found.model, found.labels).fp32_bytes()
    for name, value in describe(found).items():
        print(f"{name}: {value}")
    print(f"bytes: {size:,}, payload {len(found.payload):,}")
    print(f"weights in fp32: {weights:,} bytes, {weights / size:,.0f} times as many")


if __name__ == "__main__":
    sys.exit(run_app(app))
