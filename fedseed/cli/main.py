"""The commands of ``python -m fedseed``: look at records, seeds and protocols, extract seeds."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

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
    from fedseed.results.table import summary
    from fedseed.studies import find_studies

    content = _completed(record)
    is_run = content["kind"] == "federated"
    with _whole(record, "tables are"):
        tables = (
            summary(content)
            if is_run
            else FittingMarkdown(find_studies()[content["kind"]].make_table(content))
        )
    make_console().print(tables, highlight=False, soft_wrap=is_run)


@app.command()
def report(
    record: Annotated[str, typer.Argument(help="record.json of a completed study.")],
    out: Annotated[
        str | None, typer.Option(help="File to write; report.html beside the record without it.")
    ] = None,
) -> None:
    """Make the report of a study again, as one HTML page for readers who have to decide."""
    from fedseed.files import write_text
    from fedseed.studies import find_studies
    from fedseed.studies.base import REPORT

    content, studies = _completed(record), find_studies()
    study = studies.get(content["kind"])
    if study is None or study.report is None:
        having = ", ".join(name for name, one in studies.items() if one.report)
        raise OutputError(
            f"{record} is a record of kind {content['kind']}, which has no report: give one of "
            f"kind {having}"
        )
    with _whole(record, "report is"):
        page = study.make_report(content)
    path = Path(record).parent / REPORT if out is None else Path(out)
    write_text(path, page)
    make_console().print(f"report: {path}", highlight=False, markup=False, soft_wrap=True)


def _completed(record: str) -> dict[str, Any]:
    """The record of a completed federated run or study."""
    from fedseed.results.record import read_record
    from fedseed.studies import find_studies

    content = read_record(Path(record))
    known = content.get("kind") in ("federated", *find_studies())
    if not known or content.get("status") != "completed":
        raise OutputError(f"{record} is not the record of a completed federated run or study")
    return content


@contextlib.contextmanager
def _whole(record: str, what: str) -> Iterator[None]:
    """Say in one line that a record lacks what its tables are, or its report is, made of."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise OutputError(
            f"{record} lacks what its {what} made of ({type(error).__name__}: {error}): "
            "it was changed by hand or by another program"
        ) from error


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
