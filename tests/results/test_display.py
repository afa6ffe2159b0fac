"""What a run shows: a live bar on a terminal, plain lines elsewhere, nothing when quiet."""

import dataclasses
import io

import pytest
from rich.console import Console

from fedseed.federation.round_record import RoundResult
from fedseed.results.display import Lines, Quiet, Workload
from fedseed.results.live import Live, make_display
from fedseed.transcript import Exchange


def workload() -> Workload:
    return Workload(90, 3, 10, 12, {"given": 40.0, "aggregated": 100.0})


def exchange(status: str = "ok", phase: str = "train", group: str = "1") -> Exchange:
    return Exchange(phase, group, 4, status, b"d", 9, reason="" if status == "ok" else "gone")


def result() -> RoundResult:
    tried = {"recipes": [{"validation_loss": 0.61}, {"validation_loss": None}]}
    clients = [{"status": "ok", "metrics": tried}, {"status": "failed", "metrics": {}}]
    return RoundResult(1, clients, {"payload_bytes": {"down": 1150, "up": 290}}, 1.0)


def test_the_workload_adds_up() -> None:
    load = workload()
    assert load.total == 2700 + 12 * 140
    assert load.time_left() == "-:--"
    load.resume([exchange()] * 10)
    assert (load.done, load.fresh) == (900, 0)
    for _ in range(20):
        load.add(exchange())
    for group, work in (("given", 40), ("aggregated", 100)):
        for _ in range(12):
            load.add(exchange(phase="evaluate", group=group))
        assert work * 12 <= load.done
    assert load.done == load.total
    assert load.time_left() == "0:00"


def test_plain_lines() -> None:
    lines: list[str] = []
    shown = Lines(lines.append)
    shown.start(workload())
    shown.exchanged(exchange(), "loss 0.61")
    shown.exchanged(exchange("failed"))
    shown.round_done(result())
    for done in range(0, 101, 5):
        shown.original(done, 100)
    assert lines[0].startswith("round 1, client 4 ok, loss 0.61 (")
    assert lines[1].startswith("round 1, client 4 failed: gone (")
    assert "1 of 2 clients, validation loss 0.610 to 0.610, payload 1,150 B down" in lines[2]
    assert len(lines) == 13


def test_live_bar() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    shown = make_display(False, console)
    assert isinstance(shown, Live)
    shown.start(workload())
    shown.tokenising(10, 100)
    shown.exchanged(exchange(), "loss 0.61")
    shown.exchanged(exchange("failed"))
    shown.round_done(result())
    shown.phase("[/testing]")
    shown.original(1, 10)
    shown.stop()
    text = screen.getvalue()
    for words in ("round 1, client 4 failed: gone", "1 of 2", "[/testing]", "left"):
        assert words in text


def test_the_table_of_rounds_stays() -> None:
    screen = io.StringIO()
    shown = Live(Console(file=screen, force_terminal=True, width=100, color_system=None))
    for number in range(1, 12):
        one = dataclasses.replace(result(), round=number, measured={})
        shown.round_done(one)
        one.measured["test"] = {"value": 0.815, "ci95": [0.8, 0.83]}  # tests come later
    shown.stop()
    shown.stop()
    rows = [line.split() for line in screen.getvalue().splitlines() if "1 of 2" in line]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 12)]
    assert "81.5 % (80.0 - 83.0)" in screen.getvalue()
    assert "1.1 KB" in screen.getvalue()
    assert "0.610 to 0.610" in screen.getvalue()


@pytest.mark.parametrize(("quiet", "kind"), [(True, Quiet), (False, Lines)])
def test_the_display_that_fits(quiet: bool, kind: type) -> None:
    assert isinstance(make_display(quiet, Console(file=io.StringIO())), kind)
