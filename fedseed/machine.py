"""The machine around a run: its cores, folders for what is temporary, and consoles."""

import contextlib
import io
import math
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fedseed.errors import OutputError

_GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows control groups."""
_OWN_GROUPS = Path("/proc/self/cgroup")
_LOSSY = frozenset({"replace", "backslashreplace", "xmlcharrefreplace", "namereplace", "ignore"})
"""Error handlers that write something for every letter."""
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # only private folders are made there


def usable_cores() -> int:
    """Cores that this process may use, at least 1.

    By its affinity and by the CPU quotas of its control groups (versions 1 and 2), as containers
    and batch systems set them; a part of a core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min([float(cores or 1), *_quotas()])))


def _quotas() -> Iterator[float]:
    """CPU quotas of this process's control groups and of those around them, in cores."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",")
        if number == "0" and not controllers:
            for root in (_GROUPS, _GROUPS / "unified"):
                for folder in _up_to(root, path):
                    yield from _quota(_words(folder / "cpu.max"))
        elif "cpu" in names:
            for root in (_GROUPS / "cpu", _GROUPS / controllers):
                for folder in _up_to(root, path):
                    files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                    yield from _quota([word for name in files for word in _words(folder / name)])


def _up_to(root: Path, path: str) -> list[Path]:
    """A group's folder and those around it; within a container the group may be the root itself."""
    inner = PurePosixPath(path.lstrip("/"))
    if ".." in inner.parts:
        return [root]
    return [root / part for part in (inner, *inner.parents)]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _quota(words: list[str]) -> list[float]:
    """Cores of a quota and its period in microseconds; nothing without a limit."""
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # "max", or no such file
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def private_folder(base: Path | None = None) -> Path:
    """A temporary folder that this user alone can enter, made when it is missing.

    Args:
        base: where it is; the machine's temporary folder when None.

    Raises:
        OutputError: it cannot be made, is another user's, or others can enter it.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    name = "fedseed" if user is None else f"fedseed-{user}"
    path = (base or Path(tempfile.gettempdir())) / name
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        about = path.lstat()
    except OSError as error:
        raise OutputError(
            f"cannot make {path}: {error.strerror}; set TMPDIR to a folder of your own"
        ) from error
    others = stat.S_IMODE(about.st_mode) & 0o077
    if not stat.S_ISDIR(about.st_mode) or (user is not None and (about.st_uid != user or others)):
        raise OutputError(
            f"{path} is not a folder of this user alone: remove it, or set TMPDIR and "
            "FEDSEED_CACHE to folders of your own"
        )
    return path


def short_temporary_folder(longest: int) -> Path | None:
    """The machine's temporary folder, or another where its path is too long for a socket's.

    Args:
        longest: bytes that the path may have.

    Returns:
        A folder in which this process can make others; None when there is none.
    """
    usual = tempfile.gettempdir()
    for name in (usual, os.environ.get("XDG_RUNTIME_DIR") or usual, *_SHORT_FOLDERS):
        if len(os.fsencode(name)) <= longest and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return None


def has_home() -> bool:
    """Whether this user has a home folder by the environment or the system's list of users."""
    try:
        Path.home()
    except RuntimeError:
        return False
    return True


def ensure_home() -> None:
    """Give a user without a home folder a temporary one, and one without a name a name.

    A container may run as a number that its ``/etc/passwd`` doesn't know. Libraries keep caches and
    settings below the home folder and fail, or write elsewhere, when there is none.

    Raises:
        OutputError: no folder can be made that is this user's alone.
    """
    if not has_home():
        os.environ["HOME"] = str(private_folder())
        print(
            f"this user has no home folder: caches are in {os.environ['HOME']}; set FEDSEED_CACHE "
            "to keep them elsewhere",
            file=sys.stderr,
        )
    if hasattr(os, "getuid") and not any(map(os.environ.get, ("LOGNAME", "USER", "LNAME"))):
        import pwd

        try:
            pwd.getpwuid(os.getuid())
        except KeyError:
            os.environ["USER"] = f"user-{os.getuid()}"


def replace_letters() -> None:
    """Have stdout and stderr write a sign in place of letters that they cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors not in _LOSSY:
            stream.reconfigure(errors="replace")
