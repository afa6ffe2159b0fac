"""What is written for TensorBoard, read back by TensorBoard's own reader."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from fedseed.errors import ConfigError
from fedseed.results.display import Lines, Quiet
from fedseed.results.tensorboard import ForTensorBoard
from tests.results.test_display import exchange, result, workload


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(one.step, one.value) for one in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_rounds_are_written_and_shown(tmp_path: Path) -> None:
    lines: list[str] = []
    display = ForTensorBoard(Lines(lines.append), tmp_path / "logs")
    display.start(workload())
    for number in (1, 2):
        display.exchanged(exchange())
        one = dataclasses.replace(result(), round=number, measured={})
        display.round_done(one)
        one.measured["test"] = {"value": 0.5 + number / 10, "ci95": [0.4, 0.8]}
    display.stop()
    found = read(tmp_path / "logs")
    assert found["payload_bytes/down"] == [(1, 1150), (2, 1150)]
    assert found["validation_loss/mean"] == [(1, pytest.approx(0.61)), (2, pytest.approx(0.61))]
    assert found["test_accuracy/value"] == [(1, pytest.approx(0.6)), (2, pytest.approx(0.7))]
    assert found["clients/usable"] == [(1, 1), (2, 1)]
    assert sum("payload 1,150 B down" in line for line in lines) == 2
    assert "left)" in lines[0]


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"fedseed\[tensorboard\]"):
        ForTensorBoard(Quiet(), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
