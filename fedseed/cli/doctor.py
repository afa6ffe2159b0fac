"""The command ``doctor``: what this machine has, and what it lacks."""

import json
from typing import Annotated

import click
import typer

from fedseed.cli.console import make_console
from fedseed.cli.deferred import command_of


def make_doctor(_words: list[str]) -> click.Command:
    """``fedseed doctor``."""
    return command_of(_doctor, "doctor", ("fedseed doctor", "fedseed doctor --json"))


def _doctor(
    hub: Annotated[
        bool, typer.Option("--hub", help="Look whether the model hub can be reached.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what this machine has: cores, memory, kernels, precision, cache, extras."""
    from fedseed.results.doctor import findings, to_json

    found = findings(hub)
    if json_:
        print(json.dumps(to_json(found)))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for one in found:
        value = Text(one.value)
        if one.advice:
            value.append(f"\n-> {one.advice}", style="yellow")
        table.add_row(Text(one.name, style="bold"), value)
    make_console().print(table)
