"""The commands of ``python -m fedseed``: look at records, seeds and protocols, extract seeds."""

from pathlib import Path
from typing import Annotated

import typer

from fedseed.cli.console import make_console
from fedseed.cli.seeds import register
from fedseed.errors import OutputError
from fedseed.results.fitting import FittingMarkdown

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
    from fedseed.studies import find_studies

    content, studies = read_record(Path(record)), find_studies()
    kind = content.get("kind")
    if kind not in ("federated", *studies) or content.get("status") != "completed":
        raise OutputError(f"{record} is not the record of a completed federated run or study")
    is_run = kind == "federated"
    try:
        tables = summary(content) if is_run else FittingMarkdown(studies[kind].make_table(content))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise OutputError(
            f"{record} lacks what its tables are made of ({type(error).__name__}: {error}): "
            "it was changed by hand or by another program"
        ) from error
    make_console().print(tables, highlight=False, soft_wrap=is_run)


@app.command()
def protocols(
    name: Annotated[
        str | None, typer.Argument(help="Show this protocol's options; without it all protocols.")
    ] = None,
) -> None:
    """List the protocols that are installed, or one protocol's options."""
    from fedseed.cli.tables import option_table, protocol_table

    make_console().print(FittingMarkdown(protocol_table() if name is None else option_table(name)))


@app.command("bytes")
def all_bytes(
    records: Annotated[
        list[str], typer.Argument(help="Folders of zero-shot studies and comparisons.")
    ],
    out: Annotated[str, typer.Option(help="Folder for record, table and figure.")],
) -> None:
    """Draw accuracy against bytes: the seeds and protocols of several records."""
    from fedseed.files import write_text
    from fedseed.results.all_bytes.figure import bytes_figure
    from fedseed.results.all_bytes.points import gather
    from fedseed.results.all_bytes.table import bytes_table
    from fedseed.results.folder import RECORD, make_folder

    gathered = gather(records)
    folder = make_folder(Path(out))
    record = gathered.to_dict()
    table = bytes_table(record)
    bytes_figure(record, folder / "figure.png")
    write_text(folder / "table.md", table)
    gathered.write(folder / RECORD)
    make_console().print(FittingMarkdown(table))


register(app)
