"""The apps that ``flwr run .`` starts: the same as the command line's, configured by Flower.

Light to import: Flower starts a process of a node for every message.
"""

from typing import Any

from fedseed.federation.client_app import client_app as make_client_app
from fedseed.federation.server_app import server_app as make_server_app


def _serve(*arguments: Any) -> None:
    from fedseed.errors import FedseedError
    from fedseed.runs.deployment import serve

    try:
        serve(*arguments)
    except FedseedError as error:  # its one line says what to do
        raise error.with_traceback(None) from None


client_app = make_client_app()
server_app = make_server_app(_serve)
