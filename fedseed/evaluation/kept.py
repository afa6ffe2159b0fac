"""Measurements that are kept in the cache, by a digest of all that decides them."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from fedseed.data.cache import cache_folder
from fedseed.errors import OutputError
from fedseed.files import write_text


def kept(folder: str, parts: Iterable[bytes | str], measure: Callable[[], Any]) -> Any:
    """A measurement as JSON values: the one in the cache, or a new one.

    Args:
        folder: of the cache.
        parts: everything that decides the measurement.
        measure: measures it.
    """
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
    path = cache_folder() / folder / f"{whole.hexdigest()}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        measured = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(measured))
    except (OSError, OutputError):  # a full disk costs the next run a minute
        pass
    return measured
