"""An interrupted run is taken up and ends with the same bits."""

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedseed.errors import RunError
from fedseed.protocols.base import ClientTask
from fedseed.protocols.recipe.client import RecipeClient
from tests.federation.running import Run, command_line, killed, lasting


def test_a_resumed_run_ends_with_the_same_bits(
    small: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    whole = run(rounds=3, steps=5)
    out = tmp_path / "killed"
    words = command_line(small, out, rounds=3, steps=5)
    transcript = killed(words, out, exchanges=4)
    assert json.loads((out / "record.json").read_text())["status"] == "interrupted"
    with transcript.open("a") as file:
        file.write('{"phase": "train", "gro')  # what a kill in mid-write leaves
    script = words[:2]
    resumed = subprocess.run(
        [*script, "--resume", str(out), "--workers", "2"], capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stderr
    assert lasting(json.loads((out / "record.json").read_text())) == lasting(whole)
    again = subprocess.run([*script, "--resume", str(out)], capture_output=True, text=True)
    assert again.returncode == 2
    assert "complete" in again.stderr


@pytest.mark.parametrize("exchanges", [1, 5])
def test_error_feedback_is_not_applied_twice(
    small: dict[str, Any], run: Run, tmp_path: Path, exchanges: int
) -> None:
    options = {"protocol": "weights", "codec": "topk", "keep": 0.02, "rounds": 3, "steps": 3}
    whole = run(**options)
    out = tmp_path / "killed"
    words = command_line(small, out, **options)
    killed(words, out, exchanges=exchanges)
    resumed = subprocess.run(
        [*words[:2], "--resume", str(out), "--workers", "1"], capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stderr
    assert lasting(json.loads((out / "record.json").read_text())) == lasting(whole)


def test_what_an_attempt_left_is_gone_when_its_round_is_run_again(tmp_path: Path) -> None:
    from flwr.app import ConfigRecord, Message, RecordDict

    from fedseed.federation.executors import InProcess
    from fedseed.federation.local_grid import LocalGrid
    from fedseed.federation.messages import context_from_bytes, context_to_bytes

    grid = LocalGrid(InProcess(lambda *_: None), 1, {}, tmp_path / "clients")
    (node,) = grid.get_node_ids()

    def asked(place: int) -> Message:
        return Message(RecordDict(), node, "train", group_id=str(place))

    def kept(place: int) -> dict[str, Any]:
        records = context_from_bytes(grid._context(node, asked(place))).state.config_records
        return {name: dict(record)["round"] for name, record in records.items()}

    def work(place: int) -> None:
        context = context_from_bytes(grid._context(node, asked(place)))
        context.state["memory"] = ConfigRecord({"round": place})
        grid._keep(node, place, context_to_bytes(context))

    assert kept(1) == {}
    for place in (1, 2, 3):
        work(place)
    assert kept(4) == {"memory": 3}
    assert kept(3) == {"memory": 2}  # round 3 is run again, and does not end this time
    assert kept(4) == {"memory": 2}
    assert len(list((tmp_path / "clients" / "0").iterdir())) == 1


def test_resume_refuses_other_public_texts(run: Run, tmp_path: Path) -> None:
    from fedseed.errors import OutputError
    from fedseed.runs.command import run_command

    texts = tmp_path / "public.txt"
    texts.write_text("\n".join(f"a fine film of {n} minutes" for n in range(40)))
    with pytest.raises(RunError):
        run(protocol="labels", public=str(texts), distil_steps=2, drop_rate=1.0)
    texts.write_text(texts.read_text().replace("of 7 minutes", "of 8 minutes"))
    with pytest.raises(OutputError, match="public texts changed"):
        run_command({}, None, str(tmp_path / "run0"), False, True, Console(file=io.StringIO()))


def test_ctrl_c(small: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    words = command_line(small, out, rounds=50, workers=2)
    # Where the suite runs in the background, children inherit that Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, before)
    with process:
        transcript = out / "transcript.jsonl"
        while process.poll() is None and not transcript.exists():
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert b"--resume" in stderr
    assert json.loads((out / "record.json").read_text())["status"] == "interrupted"


def test_a_failed_run_can_be_taken_up_when_the_cause_is_gone(
    run: Run, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedseed.runs.command import run_command

    whole = run()

    class Broken(RecipeClient):
        def contribute(self, task: ClientTask) -> bytes:
            raise RuntimeError("no battery")

    with monkeypatch.context() as patch:
        patch.setattr("fedseed.protocols.recipe.client.RecipeClient", Broken)
        with pytest.raises(RunError, match="no battery"):
            run()
    out = tmp_path / "run1"
    console = Console(file=io.StringIO())
    run_command({"workers": 1}, None, str(out), False, True, console)
    assert lasting(json.loads((out / "record.json").read_text())) == lasting(whole)


def test_resume_refuses_other_inputs(run: Run, small: dict[str, Any], tmp_path: Path) -> None:
    from fedseed.errors import OutputError
    from fedseed.runs.command import run_command
    from fedseed.seeds.codec import write_seed
    from fedseed.seeds.kinds.random import random_seed

    seed, recipe = tmp_path / "a.fseed", tmp_path / "r.toml"
    write_seed(seed, random_seed("bert-tiny", 2, 1, "scaled"))
    recipe.write_text("steps = 1\nmax_length = 16\n")
    with pytest.raises(RunError):
        run(drop_rate=1.0, seed_file=str(seed), recipe=str(recipe))

    def resume() -> None:
        console = Console(file=io.StringIO())
        run_command({}, None, str(tmp_path / "run0"), False, True, console)

    path = tmp_path / "run0" / "record.json"
    began = path.read_text()
    record = json.loads(began)
    record["provenance"]["machine"]["kernels"] = "other"
    path.write_text(json.dumps(record))
    with pytest.raises(OutputError, match="began with other kernels"):
        resume()
    path.write_text(began)
    write_seed(seed, random_seed("bert-tiny", 2, 2, "scaled"))
    with pytest.raises(OutputError, match="seed file has changed"):
        resume()
    write_seed(seed, random_seed("bert-tiny", 2, 1, "scaled"))
    recipe.write_text("steps = 3\nmax_length = 16\n")
    with pytest.raises(OutputError, match="recipe file has changed"):
        resume()
