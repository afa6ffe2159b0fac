"""The command of a study: its options, and where and how it runs."""

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import click
import typer

from fedseed.cli.console import make_console
from fedseed.cli.deferred import Entry, command_of, group_of
from fedseed.cli.flags import flags_of, given, refuse_two_folders, with_flags
from fedseed.studies import find_studies
from fedseed.studies.description import StudyDescription


def study(kind: str) -> Callable[..., None]:
    """The command of a study: its options, and where and how it runs.

    Args:
        kind: of the study's records, one of those that :func:`fedseed.studies.find_studies` finds.
    """
    about = find_studies()[kind]

    @with_flags(flags_of(about.options_class))
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
        from fedseed.studies.base import study_command

        values = given(options)
        refuse_two_folders(resume, out)
        study_command(about.study_class, values, out, resume, quiet, make_console())

    command.__doc__ = f"{about.summary}\n\n{about.details}"
    return command


def make_studies(_words: list[str]) -> click.Command:
    """``fedseed study``: a command for each study."""
    entries = {
        about.command: Entry(functools.partial(_make_study, about), about.summary)
        for about in find_studies().values()
    }
    return group_of("study", "A study: many measurements that end in one table.", entries)


def _make_study(about: StudyDescription, _words: list[str]) -> click.Command:
    name = about.command
    examples = (f"fedseed study {name} --quick", f"fedseed study {name} --out my-{name}")
    return command_of(study(about.kind), name, examples)
