"""The command line: its errors, options made from a configuration's fields, federated runs."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from rich.console import Console

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, FedseedError, InputError, OutputError
from fedseed.federation.workers import heavy_imports, start_early
from fedseed.options import Options
from fedseed.results.folder import is_begun
from fedseed.without_effect import refuse_without_effect

if TYPE_CHECKING:
    from fedseed.studies.base import Study

INTERRUPTED = 130
PIPE_CLOSED = 141


def run_main(main: Callable[..., None], arguments: list[str] | None = None) -> int:
    """Run a single typer command as :func:`run_app` does."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    return run_app(app, arguments)


def run_app(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a command line and turn its errors into one line and an exit status.

    Args:
        app: the commands.
        arguments: the words of the command line; the process's own when None.

    Returns:
        0; 2 for input that cannot be used; 1 for a run that could not go on; 130 when
        interrupted; 141 when nobody reads the output any more. Programming errors keep their
        traceback.
    """
    try:
        status = app(arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return _fail(f"{error.format_message()} (see --help)", 2)
    except InputError as error:
        return _fail(str(error), 2)
    except FedseedError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:  # a path that cannot be reached, a full disk: the machine's, not ours
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}; check the path and the disk", 2)


def _fail(message: str, status: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _option(name: str, kind_of_run: type[Options]) -> inspect.Parameter:
    """A command line option for one field; None means that it was not given."""
    field = kind_of_run.model_fields[name]
    default = "none" if field.default is None else str(field.default)
    kind = field.annotation
    base = next((t for t in (bool, int, float) if kind in (t, t | None)), str)
    flag = "--" + name.replace("_", "-")
    words = f"{field.description} [default: {default}]".replace("[", "\\[")
    option = typer.Option(flag, help=words, show_default=False)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[base | None, option],
    )


def with_options(
    kind_of_run: type[Options],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a typer command all options of a configuration, passed to it as ``options``."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(**everything: Any) -> None:
            own = {name: everything.pop(name) for name in list(everything) if name in parameters}
            function(options=everything, **own)

        parameters = {
            name: parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if name != "options"
        }
        # A run's own options first, then those that all runs share.
        names = sorted(kind_of_run.model_fields, key=lambda name: name in Options.model_fields)
        fields = [_option(name, kind_of_run) for name in names]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters.values()]
        command.__signature__ = inspect.Signature([*fields, *own])  # type: ignore[attr-defined]
        command.__doc__ = function.__doc__
        return command

    return decorate


@with_options(RunConfig)
def federated(
    options: Mapping[str, Any],
    config: Annotated[
        str | None,
        typer.Option(help="A TOML file with the same options; the command line wins over it."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder for everything the run writes \\[default: results/scratch/...]."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with the interrupted run in this folder, with its options; it ends with "
            "the same bits as an undisturbed one. Where none began yet, begin it there."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved plan and stop.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the final table.")] = False,
) -> None:
    """Federated task distillation: one seed, one recipe, many private shards.

    A server broadcasts a seed and recipes; clients assemble the model, fine-tune it on their
    own texts and send back metrics. The server aggregates recipes, never weights; for
    comparison, --protocol weights is federated averaging.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_beside_resume(resume, out)
    kinds = {"out": str, "quiet": bool, "dry_run": bool}
    read = RunConfig.from_toml(Path(config), also=kinds) if config else {}
    own = {name: read.pop(name) for name in kinds if name in read}
    for name, value in own.items():
        if not isinstance(value, kinds[name]):
            wanted = "true or false" if kinds[name] is bool else "a folder, in quotes"
            raise ConfigError(f"--config {config}: {name.replace('_', '-')}: write {wanted}")
    given = read | given
    out = out or own.get("out")
    quiet, dry_run = own.get("quiet") or quiet, own.get("dry_run") or dry_run
    if resume is None or not is_begun(Path(resume)):  # else the rest of them are in its folder
        refuse_without_effect(given)
    if not dry_run and (resume is not None or _has_workers(given)):
        start_early()
    with heavy_imports():
        from fedseed.runs.command import run_command

    run_command(given, out, resume, dry_run, quiet, Console())


def _refuse_beside_resume(resume: str | None, out: str | None) -> None:
    """Refuse two folders for one run."""
    if resume is not None and out is not None:
        raise OutputError("--resume names the run's folder: leave out --out")


def _has_workers(options: Mapping[str, Any]) -> bool:
    local = options.get("engine", "local") == "local"
    on_cpu = not str(options.get("device", "")).startswith("cuda")
    return local and on_cpu and str(options.get("workers")) != "1"


def study(kind: "type[Study]") -> Callable[..., None]:
    """The command of a study: its options, and where and how it runs."""

    @with_options(kind.options)
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

        given = {name: value for name, value in options.items() if value is not None}
        _refuse_beside_resume(resume, out)
        study_command(kind, given, out, resume, quiet, Console())

    command.__doc__ = kind.__doc__
    return command
