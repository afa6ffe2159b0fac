"""The commands of ``python -m fedseed``: look at records, seeds and protocols, extract seeds."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from fedseed.cli.seeds import extract_seed, inspect_seed
from fedseed.errors import OutputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command()
def show(
    record: Annotated[
        str, typer.Argument(help="record.json of a completed federated run or study.")
    ],
) -> None:
    """Print the tables of a record."""
    from fedseed.results.record import read_record
    from fedseed.results.table import summary
    from fedseed.studies.tables import STUDY_TABLES

    found = read_record(Path(record))
    kind = found.get("kind")
    if kind not in ("federated", *STUDY_TABLES) or found.get("status") != "completed":
        raise OutputError(f"{record} is not the record of a completed federated run or study")
    try:
        tables = summary(found) if kind == "federated" else Markdown(STUDY_TABLES[kind](found))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise OutputError(
            f"{record} lacks what its tables are made of ({type(error).__name__}: {error}): "
            "it was changed by hand or by another program"
        ) from error
    Console().print(tables, highlight=False, soft_wrap=kind == "federated")


@app.command()
def protocols(
    name: Annotated[
        str | None, typer.Argument(help="Show this protocol's options; without it all protocols.")
    ] = None,
) -> None:
    """List the protocols that are installed, or one protocol's options."""
    from fedseed.cli.tables import option_table, protocol_table

    Console().print(Markdown(protocol_table() if name is None else option_table(name)))


app.command("inspect")(inspect_seed)
app.command("extract")(extract_seed)
