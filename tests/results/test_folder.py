"""Output folders: one run at a time, nothing overwritten."""

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from fedseed.errors import OutputError
from fedseed.files import new_folder, write_text
from fedseed.results.folder import locked, make_folder
from fedseed.transcript import Exchange, Transcript


def test_two_runs_at_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run")
    with (
        locked(folder),
        pytest.raises(OutputError, match="another run is writing"),
        locked(folder),
    ):
        raise AssertionError("both got in")
    with locked(folder):
        pass


Take = Callable[[IO[str], int], None]


def without_locks(take: Take, code: int, below: Path) -> Take:
    """A system call that knows no locks for files below a folder."""

    def call(file: IO[str], how: int) -> None:
        if Path(file.name).is_relative_to(below):
            raise OSError(code, os.strerror(code))
        take(file, how)

    return call


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the machine's."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], code: int,
) -> None:  # fmt: skip
    folder = make_folder(tmp_path / "run")
    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, without_locks(getattr(fcntl, name), code, folder))
    for _ in range(2):
        with (
            locked(folder),
            pytest.raises(OutputError, match="another run is writing"),
            locked(folder),
        ):
            raise AssertionError("both got in")
    assert "only runs of this machine are kept out" in capsys.readouterr().err
    [stand_in] = temporary.iterdir()
    assert stat.S_IMODE(stand_in.stat().st_mode) == 0o700
    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, without_locks(getattr(fcntl, name), code, tmp_path))
    with pytest.raises(OutputError, match="choose another --out or TMPDIR"), locked(folder):
        raise AssertionError


def test_a_file_system_with_locks_of_one_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(tmp_path / "run")
    taken: list[str] = []
    monkeypatch.setattr(fcntl, "flock", without_locks(fcntl.flock, errno.ENOSYS, folder))
    monkeypatch.setattr(fcntl, "lockf", lambda file, _: taken.append(file.name))
    with locked(folder):
        assert taken == [str(folder / ".lock")]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "cache") as temporary:
            (temporary / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def exchange(pid: int) -> Exchange:
    return Exchange("train", "1", pid, "ok", b"\x00down", 50, b"up\xff", 40)


def test_a_transcript_survives_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    first = Transcript(path)
    first.add(exchange(0))
    first.add(exchange(1))
    path.write_text(path.read_text() + exchange(2).to_line()[:30])
    again = Transcript(path)
    assert list(again) == [exchange(0), exchange(1)]
    again.add(exchange(2))
    assert list(Transcript(path)) == [exchange(0), exchange(1), exchange(2)]


@pytest.mark.parametrize("line", ["{}", "[]", "x", '{"phase": "train"}'])
def test_a_damaged_transcript_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_text(line + "\n" + exchange(0).to_line() + "\n")
    with pytest.raises(OutputError, match="damaged"):
        Transcript(path)


def test_a_transcript_that_cannot_be_written(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "gone" / "transcript.jsonl")
    with pytest.raises(OutputError, match="--resume"):
        transcript.add(exchange(0))
    assert list(transcript) == []
