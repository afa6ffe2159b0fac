"""Flags of a command, made of the fields of its options."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fedseed.errors import OutputError
from fedseed.options import Options


def flag_of(name: str) -> str:
    """The flag of an option: ``--label-bits`` for ``label_bits``."""
    return "--" + name.replace("_", "-")


def make_flag(
    name: str, field: FieldInfo, panel: str | None = None, hidden: bool = False
) -> inspect.Parameter:
    """A command line flag for one field; its value is None when it was not given.

    Args:
        name: the option's name.
        field: its type, default and description.
        panel: heading under which ``--help`` shows it.
        hidden: whether ``--help`` leaves it out.
    """
    default = field.get_default(call_default_factory=True, validated_data={})
    shown = "none" if default is None or default in ("", {}) else str(default)
    kind = field.annotation
    base = next((t for t in (bool, int, float) if kind in (t, t | None)), str)
    help_text = f"{field.description} [default: {shown}]".replace("[", "\\[")
    option = typer.Option(
        flag_of(name), help=help_text, show_default=False, rich_help_panel=panel, hidden=hidden
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[base | None, option],
    )


def flags_of(options: type[Options]) -> list[inspect.Parameter]:
    """Flags of all options by subject, a class's before those of its base classes."""
    return [
        make_flag(name, options.model_fields[name], options.subject_of(name))
        for name in options.names_for_help()
    ]


def flags_of_choices(
    choice: str, models: Mapping[str, type[BaseModel]], shown: Collection[str]
) -> list[inspect.Parameter]:
    """Flags of the options that each value of another option has of its own.

    All are taken, so that an option of another value can be refused by its name.

    Args:
        choice: the flag that chooses, such as ``--protocol``.
        models: options by the chosen value; where two have one of the same name, the first counts.
        shown: values whose options ``--help`` shows, under a heading each.
    """
    flags: dict[str, inspect.Parameter] = {}
    for value, model in models.items():
        panel = f"Options of {choice} {value}"
        for name, field in model.model_fields.items():
            if name not in flags:
                flags[name] = make_flag(name, field, panel, hidden=value not in shown)
    return list(flags.values())


def with_flags(
    flags: Sequence[inspect.Parameter],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a typer command flags; their values are passed to it as ``options``, by name."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        parameters = {
            name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(function).parameters.items()
            if name != "options"
        }

        def command(**values: Any) -> None:
            rest = {name: values.pop(name) for name in list(values) if name in parameters}
            function(options=values, **rest)

        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*flags, *parameters.values()]
        )
        command.__doc__ = function.__doc__
        return command

    return decorate


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}


def refuse_two_folders(resume: str | None, out: str | None) -> None:
    """Refuse two folders for one run.

    Raises:
        OutputError: both were given.
    """
    if resume is not None and out is not None:
        raise OutputError("--resume names the run's folder: leave out --out")
