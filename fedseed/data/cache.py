"""Where everything that can be made again is kept."""

import os
from pathlib import Path

import platformdirs

from fedseed.machine import ensure_home


def cache_folder() -> Path:
    """Folder for everything that can be made again: ``$FEDSEED_CACHE`` or the user's cache.

    Raises:
        OutputError: the user has no home folder, and none can be made.
    """
    ensure_home()
    given = os.environ.get("FEDSEED_CACHE")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("fedseed"))
