"""The command of a study: its options, and where and how it runs."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from fedseed.cli.flags import flags_of, given, refuse_two_folders, with_flags
from fedseed.studies.base import Study, study_command


def study(kind: type[Study]) -> Callable[..., None]:
    """The command of a study: its options, and where and how it runs."""

    @with_flags(flags_of(kind.options))
    def command(
        options: Mapping[str, Any],
        out: Annotated[
            str | None,
            typer.Option(help="Folder for everything written \\[default: results/scratch/...]."),
        ] = None,
        resume: Annotated[
            str | None,
            typer.Option(
                help="Go on with the interrupted run in this folder; where none began yet, begin "
                "it there."
            ),
        ] = None,
        quiet: Annotated[bool, typer.Option("--quiet", help="Print only the table.")] = False,
    ) -> None:
        values = given(options)
        refuse_two_folders(resume, out)
        study_command(kind, values, out, resume, quiet, Console())

    command.__doc__ = kind.__doc__
    return command
