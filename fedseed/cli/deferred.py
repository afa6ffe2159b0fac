"""Commands that are made when they are asked for, so that ``fedseed --help`` is quick."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click
import typer
from typer.core import TyperCommand, TyperGroup

from fedseed.discovery import load

Make = Callable[[list[str]], click.Command]
"""Makes a command, given the words of the command line that follow its name."""


class Entry(NamedTuple):
    """A command as a list of commands shows it."""

    make: Make
    summary: str
    panel: str | None = None
    """The heading that it stands under."""
    hidden: bool = False


def placed(place: str) -> Make:
    """What ``module:attribute`` names, imported when a command is made."""

    def make(words: list[str]) -> click.Command:
        made: click.Command = load(place)(words)
        return made

    return make


class Deferred(TyperCommand):
    """Stands for a command in a list, and becomes it when it is called."""

    def __init__(self, name: str, entry: Entry) -> None:
        """Take its place in the list; nothing is imported."""
        super().__init__(
            name, help=entry.summary, rich_help_panel=entry.panel, hidden=entry.hidden,
            rich_markup_mode="rich",
        )  # fmt: skip
        self._make = entry.make

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        """See click: the context is that of the command itself."""
        return self._make(args).make_context(info_name, args, parent, **extra)


def group_of(
    name: str, summary: str, entries: Mapping[str, Entry], examples: tuple[str, ...] = ()
) -> TyperGroup:
    """A group of commands, none of which is imported before it is called."""
    return TyperGroup(
        name=name, help=summary, no_args_is_help=True, rich_markup_mode="rich",
        suggest_commands=False,  # click does
        epilog=shown_examples(examples), context_settings=HELP_NAMES,
        commands={each: Deferred(each, entry) for each, entry in entries.items()},
    )  # fmt: skip


HELP_NAMES = {"help_option_names": ["--help", "-h"]}


def command_of(
    main: Callable[..., None], name: str | None = None, examples: tuple[str, ...] = ()
) -> click.Command:
    """The command that a function with typer's annotations is.

    Args:
        main: the function; its docstring is the help.
        name: what it is called.
        examples: command lines that its help ends with.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    epilog = shown_examples(examples)
    app.command(name, epilog=epilog, context_settings=dict(HELP_NAMES))(main)
    return typer.main.get_command(app)


def shown_examples(examples: tuple[str, ...]) -> str | None:
    """Command lines as the end of a help text shows them, one a line."""
    if not examples:
        return None
    return "\n\n".join(
        ["[bold]Examples[/bold]", *(f"  {one}".replace("[", "\\[") for one in examples)]
    )
