"""The machine around a run: cores, quotas, temporary folders, a missing home, consoles."""

import io
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fedseed import machine
from fedseed.data.cache import cache_folder
from fedseed.errors import OutputError
from fedseed.federation.workers import count_cores
from fedseed.machine import (
    ensure_home,
    private_folder,
    replace_letters,
    short_temporary_folder,
    usable_cores,
)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of a machine of 64 cores: a folder, and ``own`` beside it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    return tmp_path


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        ("0::/", {"cpu.max": "max 100000"}, 64),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "1000 100000"}, 1),
        ("0::/", {"cpu.max": "9999999 100000"}, 64),
        ("0::/", {}, 64),
        ("0::/../..", {"cpu.max": "300000 100000"}, 3),
        ("0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ("0::/a/b", {"a/cpu.max": "max 100000", "a/b/cpu.max": "400000 100000"}, 4),
        ("0::/docker/x", {"cpu.max": "200000 100000"}, 2),
        (
            "5:cpu,cpuacct:/x",
            {"cpu/x/cpu.cfs_quota_us": "200000", "cpu/x/cpu.cfs_period_us": "100000"},
            2,
        ),
        (
            "5:cpu,cpuacct:/docker/x",
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ("4:memory:/x", {"memory/x/cpu.cfs_quota_us": "1"}, 64),
        ("nonsense", {"cpu.max": "100000 100000"}, 64),
    ],
)
def test_cores_within_a_quota(groups: Path, own: str, files: dict[str, str], cores: int) -> None:
    (groups / "own").write_text(own + "\n")
    for name, text in files.items():
        path = groups / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert usable_cores() == count_cores("auto") == cores
    assert count_cores("7") == 7


def test_cores_without_control_groups(groups: Path) -> None:
    assert groups.is_dir()
    assert usable_cores() == 64


def test_a_private_folder(tmp_path: Path) -> None:
    folder = private_folder(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder(tmp_path) == folder
    folder.chmod(0o755)
    with pytest.raises(OutputError, match="not a folder of this user alone"):
        private_folder(tmp_path)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OutputError, match="not a folder of this user alone"):
        private_folder(tmp_path)
    with pytest.raises(OutputError, match="set TMPDIR to a folder of your own"):
        private_folder(tmp_path / "gone")


def test_a_temporary_folder_with_a_short_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert short_temporary_folder(4000) == long
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert short_temporary_folder(len(str(tmp_path))) == tmp_path
    assert short_temporary_folder(2) is None


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of whom the system knows nothing; returns the machine's temporary folder."""

    def unknown(_: object) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "USER", "LOGNAME", "LNAME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_user_without_a_home(
    nobody: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FEDSEED_CACHE")
    home = nobody / f"fedseed-{os.getuid()}"
    assert cache_folder() == home / ".cache" / "fedseed"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert "set FEDSEED_CACHE" in capsys.readouterr().err
    ensure_home()
    assert capsys.readouterr().err == ""
    assert os.environ["USER"] == f"user-{os.getuid()}"


def test_a_cache_below_a_home_that_is_missing(
    nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDSEED_CACHE", "~/mine")
    (nobody / f"fedseed-{os.getuid()}").mkdir(mode=0o777)
    (nobody / f"fedseed-{os.getuid()}").chmod(0o777)
    with pytest.raises(OutputError, match="FEDSEED_CACHE"):
        cache_folder()


@pytest.mark.parametrize(
    ("encoding", "errors", "shown"),
    [
        ("ascii", "strict", b"? error"),
        ("ascii", "surrogateescape", b"? error"),
        ("ascii", "backslashreplace", b"\\u6b63 error"),
        ("latin-1", "strict", b"? error"),
        ("utf-8", "strict", "正 error".encode()),
    ],
)
def test_letters_that_a_console_lacks(
    monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str, shown: bytes
) -> None:
    below = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(below, encoding, errors))
    replace_letters()
    for stream in (sys.stdout, sys.stderr):
        print("正 error", end="", file=stream, flush=True)
    assert below.getvalue() == 2 * shown


def test_workers_where_the_temporary_folder_is_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    code = (
        "import multiprocessing.util, os; from fedseed.federation.workers import worker_context\n"
        "if __name__ == '__main__':\n"
        "    context = worker_context(); context.set_forkserver_preload([])\n"
        "    process = context.Process(target=os.getpid); process.start(); process.join()\n"
        "    print(process.exitcode, len(multiprocessing.util.get_temp_dir()) < 90)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(deep)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "0 True\n"
    assert list(deep.iterdir()) == []
