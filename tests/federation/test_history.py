"""Transcript and checkpoint: what a killed run goes on from, at whatever moment it was killed."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedseed.errors import OutputError
from fedseed.federation.checkpoint import Checkpoint
from fedseed.federation.history import History
from fedseed.files import write_bytes
from fedseed.runs import federated
from fedseed.runs.command import run_command
from fedseed.runs.federated import RecordedRun
from fedseed.transcript import Exchange, Transcript
from tests.federation.running import lasting

CASES: dict[str, dict[str, Any]] = {
    "recipe": {"protocol": "recipe"},
    "weights": {"protocol": "weights", "codec": "int8", "test_every": 1},
    "sums": {"protocol": "weights", "secure_aggregation": True, "test_every": 1},
}
Options = dict[str, Any]


def go(options: Options, out: Path | None = None, resume: Path | None = None) -> dict[str, Any]:
    """Run or resume; returns the record."""
    folder = out or resume
    assert folder is not None
    console = Console(file=io.StringIO())
    run_command(options, out and str(out), resume and str(resume), False, True, console)
    record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return record


MOMENTS: dict[str, tuple[Any, str, int]] = {
    "first record": (RecordedRun, "_save", 1), "client of round 2": (Transcript, "add", 5),
    "checkpoint of round 1": (Checkpoint, "write", 1),
    "record of round 2": (RecordedRun, "_save", 3),
    "checkpoint of round 2": (Checkpoint, "write", 2), "a test": (Transcript, "add", 9),
    "figure": (federated, "write_figure", 1), "last record": (RecordedRun, "_save", 4),
}  # fmt: skip
"""A function that writes, and which of its calls: a kill comes before or after it."""


class Moments:
    """Copies of a run's folder as they stand before and after some calls: what a kill leaves."""

    def __init__(self, folder: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._copies = folder, copies
        self.taken: list[Path] = []
        for name, (owner, function, call) in MOMENTS.items():
            self._watch(monkeypatch, owner, function, call, name)

    def _watch(
        self, monkeypatch: pytest.MonkeyPatch, owner: Any, function: str, call: int, name: str
    ) -> None:
        real, calls = getattr(owner, function), 0

        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            number = calls
            if number == call:
                self._copy(f"before {name}")
            result = real(*arguments, **named)
            if number == call:
                self._copy(f"after {name}")
            return result

        monkeypatch.setattr(owner, function, counted)

    def _copy(self, name: str) -> None:
        copy = self._copies / name.replace(" ", "-")
        shutil.copytree(self._folder, copy)
        self.taken.append(copy)


@pytest.fixture(autouse=True)
def quick_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that takes no time to draw: what counts here is when its file is written."""

    def write(_record: dict[str, Any], path: Path) -> None:
        write_bytes(path, b"figure")

    monkeypatch.setattr(federated, "write_figure", write)


@pytest.mark.parametrize("protocol", CASES)
def test_a_kill_at_any_moment_loses_no_round(
    small: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Around every kind of write; and once more while the resumed run goes on."""
    folder = tmp_path / "whole"
    with monkeypatch.context() as patch:
        moments = Moments(folder, tmp_path, patch)
        whole = lasting(go({**small, **CASES[protocol]}, folder))
    assert len(moments.taken) == 2 * len(MOMENTS)
    *killed, complete = moments.taken
    for copy in killed:
        assert lasting(go({}, resume=copy)) == whole, copy.name
        assert {path.name for path in copy.iterdir()} == {path.name for path in folder.iterdir()}
    with pytest.raises(OutputError, match="complete"):
        go({}, resume=complete)
    assert {path.name for path in complete.iterdir()} >= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("protocol", CASES)
def test_a_kill_of_a_resumed_run(
    small: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """At the first record that it writes, which is before it has computed anything."""
    with monkeypatch.context() as patch:
        moments = Moments(tmp_path / "whole", tmp_path, patch)
        whole = lasting(go({**small, **CASES[protocol]}, tmp_path / "whole"))
    once = next(copy for copy in moments.taken if copy.name == "after-checkpoint-of-round-2")
    with monkeypatch.context() as patch:
        again = Moments(once, tmp_path / "again", patch)
        assert lasting(go({}, resume=once)) == whole
    twice = next(copy for copy in again.taken if copy.name == "after-first-record")
    assert (
        json.loads((twice / "record.json").read_text())["rounds"]
        == json.loads((tmp_path / "whole" / "record.json").read_text())["rounds"]
    )
    assert lasting(go({}, resume=twice)) == whole


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def exchange(phase: str, group: str, pid: int, status: str = "ok", **changes: Any) -> Exchange:
    return Exchange(phase, group, pid, status, b"down", 50, b"up", 40, **changes)


def round_record(number: int) -> dict[str, Any]:
    return {"round": number, "clients": [{"partition_id": 0}, {"partition_id": 1}]}


def taken_up(folder: Path, exchanges: list[Exchange], rounds: int) -> History:
    """The history of a run with some exchanges and finished rounds."""
    transcript = Transcript(folder / "transcript.jsonl")
    for one in exchanges:
        transcript.add(one)
    records = [round_record(number) for number in range(1, rounds + 1)]
    Checkpoint(records, b"state").write(folder / "server.bin")
    return History(Transcript(folder / "transcript.jsonl"), folder / "server.bin")


def test_who_did_not_answer_is_asked_again_unless_the_round_is_finished(tmp_path: Path) -> None:
    exchanges = [
        exchange("train", "1", 0), exchange("train", "1", 1, "failed"),
        exchange("train", "2", 0, "timeout"), exchange("train", "2", 1, "dropped"),
        exchange("evaluate", "given", 0, "failed"), exchange("evaluate", "given", 1),
    ]  # fmt: skip
    history = taken_up(tmp_path, exchanges, rounds=1)
    assert [(e.group, e.partition_id) for e in history.transcript] == [
        ("1", 0), ("1", 1), ("2", 1), ("given", 1),
    ]  # fmt: skip
    assert list(Transcript(tmp_path / "transcript.jsonl")) == list(history.transcript)


def test_contributions_that_were_not_kept_are_asked_for_again(tmp_path: Path) -> None:
    large = {"left_out": (("up", 1 << 20, "digest"),)}
    exchanges = [
        exchange("train", "1", 0, **large), exchange("train", "1", 1, **large),
        exchange("train", "2", 0, **large), exchange("train", "2", 1),
        exchange("evaluate", "aggregated", 0),
    ]  # fmt: skip
    history = taken_up(tmp_path, exchanges, rounds=1)
    assert [(e.group, e.partition_id) for e in history.transcript] == [
        ("1", 0), ("1", 1), ("2", 1),
    ]  # fmt: skip


def test_a_transcript_of_fewer_rounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="lacks exchanges of round 1"):
        taken_up(tmp_path, [exchange("train", "1", 0)], rounds=1)


@pytest.mark.parametrize("rounds", [[], [round_record(1), round_record(2)]])
@pytest.mark.parametrize("state", [None, b"", b"\x00\x01"])
def test_a_checkpoint_is_read_as_it_was_written(
    tmp_path: Path, rounds: list[dict[str, Any]], state: bytes | None
) -> None:
    checkpoint = Checkpoint(rounds, state)
    checkpoint.write(tmp_path / "server.bin")
    assert Checkpoint.read(tmp_path / "server.bin") == checkpoint
    assert Checkpoint.read(tmp_path / "none") == Checkpoint()


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "server.bin"
    data = Checkpoint([round_record(1)], b"state").encode()
    skipped = Checkpoint([round_record(2)]).encode()
    older = (1).to_bytes(8, "little") + bytes(100)
    for damaged in (
        b"",
        data[:10],
        data[:40],
        b"x" + data,
        data.replace(b"{", b"["),
        skipped,
        older,
    ):
        path.write_bytes(damaged)
        with pytest.raises(OutputError, match="damaged or of another version"):
            Checkpoint.read(path)
