"""The terminal that commands print to."""

from rich.console import Console

_NARROWEST = 20
_USUAL = 80


def make_console() -> Console:
    """A console on the standard output; 80 columns wide where COLUMNS says what is no width."""
    console = Console()
    if console.width < _NARROWEST:
        console.width = _USUAL
    return console
