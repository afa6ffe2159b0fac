"""What other packages and the hub bring: installed folders, and whether the hub is reached."""

import functools
import importlib.util
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fedseed.errors import DataError

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


def datasets_library() -> Any:
    """The datasets library, imported late and kept from writing to the terminal itself.

    Its progress bars are off; the lock between processes that they would make is left behind by
    workers that are ended, and Python warns of it.
    """
    import tqdm

    tqdm.tqdm.set_lock(threading.RLock())
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return datasets


def package_folder(package: str, requirement: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises:
        DataError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the package {requirement} is missing: pip install {requirement}")
    return Path(spec.submodule_search_locations[0])
