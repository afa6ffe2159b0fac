"""The commands that look at records and protocols."""

from pathlib import Path
from typing import Annotated

import click
import typer

from fedseed.cli.console import make_console
from fedseed.cli.deferred import command_of


def make_show(_words: list[str]) -> click.Command:
    """``fedseed show``."""
    example = "fedseed show results/official/federated-seed0/record.json"
    return command_of(_show, "show", (example,))


def make_report(_words: list[str]) -> click.Command:
    """``fedseed report``."""
    return command_of(_report, "report", ("fedseed report results/official/privacy/record.json",))


def make_protocols(_words: list[str]) -> click.Command:
    """``fedseed protocols``."""
    return command_of(_protocols, "protocols", ("fedseed protocols weights",))


def make_bytes(_words: list[str]) -> click.Command:
    """``fedseed bytes``."""
    records = "results/official/zero_shot results/official/comparison"
    return command_of(_all_bytes, "bytes", (f"fedseed bytes {records} --out all-bytes",))


def _show(
    record: Annotated[
        str,
        typer.Argument(help="record.json of a completed federated run or study, or its folder."),
    ],
) -> None:
    """Print the tables of a record."""
    from fedseed.cli.reports import completed, whole
    from fedseed.results.fitting import FittingMarkdown
    from fedseed.results.grown import verdict
    from fedseed.results.table import summary
    from fedseed.studies import find_studies

    content = completed(record, also=["grow"])
    if content["kind"] == "grow":
        with whole(record, "verdict is"):
            lines = verdict(content)
        make_console().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
        return
    is_run = content["kind"] == "federated"
    with whole(record, "tables are"):
        tables = (
            summary(content)
            if is_run
            else FittingMarkdown(find_studies()[content["kind"]].make_table(content))
        )
    make_console().print(tables, highlight=False, soft_wrap=is_run)


def _report(
    records: Annotated[
        list[str],
        typer.Argument(
            help="record.json of a completed federated run or study, or the folder that it is in; "
            "several runs make one page, side by side."
        ),
    ],
    out: Annotated[
        str | None, typer.Option(help="File to write; report.html beside the record without it.")
    ] = None,
) -> None:
    """Make the report of a run or a study again, as one HTML page; or of several runs together."""
    from fedseed.cli.reports import write_report

    path = write_report(records, out)
    make_console().print(f"report: {path}", highlight=False, markup=False, soft_wrap=True)


def _protocols(
    name: Annotated[
        str | None, typer.Argument(help="Show this protocol's options; without it all protocols.")
    ] = None,
) -> None:
    """List the protocols that are installed, or one protocol's options."""
    from fedseed.cli.tables import option_table, protocol_table
    from fedseed.results.fitting import FittingMarkdown

    make_console().print(FittingMarkdown(protocol_table() if name is None else option_table(name)))


def _all_bytes(
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
    from fedseed.results.fitting import FittingMarkdown
    from fedseed.results.folder import RECORD, make_folder

    gathered = gather(records)
    folder = make_folder(Path(out))
    record = gathered.to_dict()
    table = bytes_table(record)
    bytes_figure(record, folder / "figure.png")
    write_text(folder / "table.md", table)
    gathered.write(folder / RECORD)
    make_console().print(FittingMarkdown(table))
