"""The ServerApp: the same for every engine."""

from collections.abc import Callable, Mapping

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedseed.config import Cell

Main = Callable[[Grid, Mapping[str, Cell]], None]
"""What the server does, given the way to its clients and Flower's flat ``run_config``."""


def server_app(main: Main) -> ServerApp:
    """Make a ServerApp of a main function."""
    app = ServerApp()

    @app.main()
    def run(grid: Grid, context: Context) -> None:
        main(grid, context.run_config)

    return app
