"""The model and data hub: asked once whether it can be reached, not waited for."""

import functools
import os
import socket
from urllib.parse import urlsplit

_PATIENCE = 5.0
"""Seconds to wait for a connection."""


@functools.cache
def prepare_hub() -> None:
    """Tell the hub's libraries to stay offline when it cannot be reached.

    They would try again for half a minute, and print a line each time; offline they look into
    their cache at once. Must be called before they are imported. Behind a proxy nothing is tried.
    """
    proxies = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    if os.environ.get("HF_HUB_OFFLINE") or any(os.environ.get(name) for name in proxies):
        return
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=_PATIENCE).close()
    except OSError:
        os.environ["HF_HUB_OFFLINE"] = "1"
