"""Where everything that can be made again is kept."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Folder for everything that can be made again: ``$FEDSEED_CACHE`` or the user's cache."""
    given = os.environ.get("FEDSEED_CACHE")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("fedseed"))
