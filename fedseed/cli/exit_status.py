"""Running a command line: its errors become one line and an exit status."""

import os
import sys
from collections.abc import Callable

import click

from fedseed.cli.deferred import command_of
from fedseed.errors import FedseedError, InputError
from fedseed.machine import ensure_home, replace_letters

INTERRUPTED = 130
PIPE_CLOSED = 141


def run_main(main: Callable[..., None], arguments: list[str] | None = None) -> int:
    """Run a single typer command as :func:`run_app` does."""
    return run_app(command_of(main), arguments)


def run_app(app: click.Command, arguments: list[str] | None = None) -> int:
    """Run a command line and turn its errors into one line and an exit status.

    Args:
        app: the command, or a group of them.
        arguments: the words of the command line; the process's own when None.

    Returns:
        0; 2 for input that cannot be used; 1 for a run that could not go on; 130 when
        interrupted; 141 when nobody reads the output any more. Programming errors keep their
        traceback.
    """
    replace_letters()
    try:
        ensure_home()
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
