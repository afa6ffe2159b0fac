"""Digests of files and of data sets."""

import hashlib
from pathlib import Path

from fedseed.errors import DataError


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def key_of(*parts: object) -> str:
    """One digest of several values."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()
