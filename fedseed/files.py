"""Files that are either whole or not there: write to a temporary name, then rename."""

import contextlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedseed.errors import InputError, OutputError

_LARGEST_JSON = 1 << 26
_LARGEST_TOML = 1 << 20


def read_toml(path: Path, what: str, refuse: type[InputError]) -> dict[str, Any]:
    """Read a TOML file; a byte order mark at its beginning is ignored.

    Args:
        path: the file.
        what: what the file is, for the message.
        refuse: the exception to raise.

    Raises:
        InputError: of the class ``refuse``: the file cannot be read or is not TOML.
    """
    try:
        if path.exists() and not (path.is_file() and path.stat().st_size <= _LARGEST_TOML):
            raise refuse(f"{what} {path} is no file of at most {_LARGEST_TOML:,} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise refuse(f"cannot read {what} {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise refuse(f"{what} {path} is not TOML: {error}") from error


def read_json(path: Path, what: str, refuse: type[InputError]) -> Any:
    """Read a JSON file; a byte order mark at its beginning is ignored.

    Args:
        path: the file.
        what: what the file is, for the message.
        refuse: the exception to raise.

    Raises:
        InputError: of the class ``refuse``: the file cannot be read or is not JSON.
    """
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise refuse(f"{what} has more than {_LARGEST_JSON:,} bytes: give another file")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise refuse(f"cannot read {what}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise refuse(f"{what} is not JSON: save it again") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one.

    Raises:
        OutputError: the file cannot be written (no permission, disk full, ...).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error.strerror}; make room, or choose another folder"
        ) from error


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text as :func:`write_bytes` does."""
    write_bytes(path, content.encode())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def refuse_unwritable(path: Path) -> None:
    """Refuse a place where nothing could be written, before anything is computed for it.

    Raises:
        OutputError: the nearest folder above it that exists cannot be written, or is a file.
    """
    above = next(part for part in (path.absolute().parents) if os.path.lexists(part))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: {above} is no folder that can be written")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary folder that becomes ``path`` when the block ends well.

    Several processes may fill the same ``path`` at once: the first to finish wins, the
    others' work is dropped. A folder of another name is left behind by no ending but a kill.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
        yield temporary
        with contextlib.suppress(OSError):
            temporary.rename(path)
        if not path.is_dir():
            raise OSError(None, "the finished folder could not be renamed")
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write below {path.parent}: {reason}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
