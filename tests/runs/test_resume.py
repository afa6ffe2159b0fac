"""Where runs begin and go on: options in the folder from its first moment, nothing left behind."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.errors import DataError, OutputError, RunError
from fedseed.results.folder import OPTIONS
from fedseed.runs import command as runs
from fedseed.runs.resume import find_run, run_folder

Command = Callable[..., tuple[int, str, str]]
GIVEN: dict[str, Any] = {"clients": 3, "protocol": "weights", "workers": 1}


def begin(folder: Path, error: type[BaseException] | None = None, resume: bool = False) -> None:
    """A run in a folder, which ends with an error before it has saved anything."""
    with run_folder(folder, "federated", GIVEN, RunConfig, resume):
        assert (folder / OPTIONS).exists()
        if error is not None:
            raise error


def test_bad_input_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        begin(tmp_path / "results" / "scratch" / "run", DataError)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError):
        begin(tmp_path, DataError)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_has_saved_something_stays(tmp_path: Path) -> None:
    def fails_late() -> None:
        with run_folder(tmp_path / "run", "federated", GIVEN, RunConfig, False):
            (tmp_path / "run" / "record.json").write_text("{}")
            raise RunError

    with pytest.raises(RunError):
        fails_late()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {OPTIONS, "record.json"}


def test_interrupted_before_anything_was_saved(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        begin(folder, KeyboardInterrupt)
    begun = find_run(folder, "federated", {"workers": 2}, RunConfig)
    assert begun.record is None
    assert begun.options == {**GIVEN, "workers": 2}
    with pytest.raises(OutputError, match="a run of kind federated began there"):
        find_run(folder, "ablation", {}, RunConfig)
    with run_folder(folder, "federated", {}, RunConfig, True) as again:
        assert again.options == GIVEN
    assert list(folder.iterdir()) == []


def test_a_new_run_takes_the_folder_of_one_that_saved_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", KeyboardInterrupt)
    with run_folder(tmp_path / "run", "federated", {"clients": 5}, RunConfig, False):
        values = json.loads((tmp_path / "run" / OPTIONS).read_text())
    assert values == {"kind": "federated", "options": {"clients": 5}}


def test_a_second_run_leaves_the_first_alone(tmp_path: Path) -> None:
    def second(resume: bool) -> None:
        with run_folder(tmp_path / "run", "federated", GIVEN, RunConfig, resume):
            raise AssertionError("both got in")

    with run_folder(tmp_path / "run", "federated", GIVEN, RunConfig, False):
        for resume in (False, True):
            with pytest.raises(OutputError, match="another run is writing"):
                second(resume)
        assert (tmp_path / "run" / OPTIONS).exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"clients": 4}, "--clients 3, not 4"),
        ({"rounds": 9, "codec": "int8"}, "--codec fp32, not int8, --rounds 3, not 9"),
    ],
)
def test_other_options_are_named(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", KeyboardInterrupt)
    with pytest.raises(OutputError, match=says):
        find_run(tmp_path / "run", "federated", given, RunConfig)


def test_the_run_s_options_may_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", KeyboardInterrupt)
    same = {"clients": 3, "rounds": 3, "codec": "fp32"}
    assert find_run(tmp_path / "run", "federated", same, RunConfig).options == GIVEN


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        begin(folder, KeyboardInterrupt)
    (folder / "clients" / "0").mkdir(parents=True)
    for part in (folder / ".server.bin.123.part", folder / "clients" / "0" / ".1.bin.9.part"):
        part.write_bytes(b"half")
    (folder / ".part").write_text("not ours")
    with run_folder(folder, "federated", {}, RunConfig, True):
        pass
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [".part"]


def test_a_finished_run_is_tidied_up_and_refused(tmp_path: Path) -> None:
    record = {
        "schema": 2, "kind": "federated", "status": "completed", "config": {},
        "provenance": {"machine": {"engine": "local", "precision": "fp32", "device": "cpu"}},
    }  # fmt: skip
    (tmp_path / "record.json").write_text(json.dumps(record))
    for name in (OPTIONS, "server.bin"):
        (tmp_path / name).write_text("left by a kill")
    with pytest.raises(OutputError, match="complete"):
        find_run(tmp_path, "federated", {}, RunConfig)
    assert os.listdir(tmp_path) == ["record.json"]


def test_resume_begins_a_run_where_there_is_none(command: Command, tmp_path: Path) -> None:
    status, _, stderr = command(resume=tmp_path / "new" / "run")
    assert status == 0, stderr
    record = json.loads((tmp_path / "new" / "run" / "record.json").read_text())
    assert (record["status"], record["config"]["clients"]) == ("completed", 3)
    status, _, stderr = command("--workers", "2", defaults=False, resume=tmp_path / "other")
    assert status == 2
    assert "or the options of a new one" in stderr
    assert not (tmp_path / "other").exists()


def test_a_run_killed_while_it_was_planned_begins_again(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(runs, "make_plan", interrupted)
        status, _, stderr = command(out=folder)
    assert (status, stderr) == (130, f"interrupted: go on with --resume {folder}\n")
    assert [path.name for path in folder.iterdir()] == [OPTIONS]
    assert command("--dry-run", defaults=False, resume=folder)[0] == 0
    assert command("--clients", "4", defaults=False, resume=folder)[0] == 2
    status, _, stderr = command(defaults=False, resume=folder)
    assert status == 0, stderr
    assert json.loads((folder / "record.json").read_text())["status"] == "completed"
    assert not (folder / OPTIONS).exists()
