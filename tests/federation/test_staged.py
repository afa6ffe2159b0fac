"""Runs that begin with a lexicon round: two stages, one seed between them, killed and resumed."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError
from fedseed.federation.session import Session
from fedseed.protocols.base import ClientTask
from fedseed.protocols.staged import StagedServer
from fedseed.randomness import generator
from fedseed.runs.plan import make_plan
from fedseed.seeds.codec import decode
from fedseed.transcript import TRAIN, Transcript
from tests.federation.running import Run, lasting
from tests.federation.test_history import go

LEXICON = {"start": "lexicon", "words": 40, "rounds": 3}


def interrupted_and_resumed(
    options: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch, stops: int
) -> dict[str, Any]:
    """The record of a run that is interrupted as a round begins, and goes on."""
    real = Session.run_round

    def interrupted(self: Session, number: int, *rest: Any) -> Any:
        if number == stops:
            raise KeyboardInterrupt
        return real(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run_round", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go(options, out=out)
    return go(options, resume=out)


@pytest.mark.parametrize("protocol", ["recipe", "weights", "labels"])
def test_the_second_protocol_begins_from_the_seed(run: Run, protocol: str) -> None:
    public = {"public": "reviews:60"} if protocol == "labels" else {}
    record = run(protocol=protocol, **LEXICON, **public)
    assert record["status"] == "completed"
    assert record["config"]["start"] == "lexicon"
    assert record["config"]["words"] == 40
    first, *later = record["rounds"]
    assert all("recipes" not in client["metrics"] for client in first["clients"])
    assert all(client["status"] == "ok" for one in record["rounds"] for client in one["clients"])
    if protocol == "recipe":
        assert all("recipes" in client["metrics"] for one in later for client in one["clients"])
    results = record["results"]
    seed, zero = results["aggregated_seed"], results["zero_shot"]
    assert seed["bytes"] <= record["config"]["seed_bytes"]
    assert seed["value"] > max(0.75, zero["value"] + 0.1)
    assert results["linear_of_equal_bytes"]["bytes"] <= seed["bytes"]
    assert results["linear_of_equal_bytes"]["n"] == zero["n"]


def test_the_last_stage_s_seed_is_the_run_s(run: Run, tmp_path: Path) -> None:
    record = run(protocol="coordinates", rank=2, **LEXICON)
    seed = record["results"]["aggregated_seed"]
    made = {path.name: path.read_bytes() for path in (tmp_path / "run0").glob("*.fseed")}
    assert {"lexicon.fseed", "coordinates.fseed"} <= made.keys()
    assert (seed["kind"], seed["bytes"]) == ("coordinates", len(made["coordinates.fseed"]))
    assert decode(made["lexicon.fseed"]).payload in made["coordinates.fseed"]


def test_the_seed_travels_once(run: Run, tmp_path: Path) -> None:
    record = run(**LEXICON)
    down = {
        (e.group, e.partition_id): e.payload_bytes["down"]
        for e in Transcript(tmp_path / "run0" / "transcript.jsonl") if e.phase == TRAIN
    }  # fmt: skip
    seed = record["results"]["aggregated_seed"]["bytes"]
    for pid in (0, 1, 2):  # later its digest alone
        assert down["2", pid] > seed
        assert down["3", pid] == down["2", pid] - (4 + seed) + 32
    made = (tmp_path / "run0" / "lexicon.fseed").read_bytes()
    assert len(made) == seed
    assert decode(made).kind == "lexicon"
    assert not (tmp_path / "run0" / "model").exists()  # a recipe is what it ends with


@pytest.mark.parametrize(("protocol", "stops"), [("recipe", 2), ("recipe", 3), ("weights", 3)])
def test_an_interrupted_run_ends_with_the_same_record(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str,
    stops: int,
) -> None:  # fmt: skip
    options = small | LEXICON | {"protocol": protocol, "rounds": 3}
    whole = go(options, out=tmp_path / "whole")
    again = interrupted_and_resumed(options, tmp_path / "cut", monkeypatch, stops)
    assert lasting(again) == lasting(whole)


def test_a_first_round_too_large_for_the_transcript(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint keeps the seed, where the transcript does not keep what it was made of."""
    monkeypatch.setattr("fedseed.transcript.KEPT_BYTES", 150)
    options = small | {"start": "lexicon", "estimate": "counts", "rounds": 4}
    whole = go(options, out=tmp_path / "whole")
    again = interrupted_and_resumed(options, tmp_path / "cut", monkeypatch, 4)
    assert lasting(again) == lasting(whole)
    assert (tmp_path / "cut" / "lexicon.fseed").is_file()


@pytest.mark.parametrize("protocol", ["recipe", "weights"])
def test_several_rounds_of_words(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """The second adds to the first, and a run that is interrupted between them goes on."""
    options = small | LEXICON | {"protocol": protocol, "start_rounds": 2}
    whole = go(options, out=tmp_path / "whole")
    first, second, third = whole["rounds"]
    assert [len(one["clients"]) for one in (first, second, third)] == [3, 3, 3]
    assert ("recipes" in third["clients"][0]["metrics"]) == (protocol == "recipe")
    assert all("recipes" not in client["metrics"] for client in second["clients"])
    again = interrupted_and_resumed(options, tmp_path / "cut", monkeypatch, 2)
    assert lasting(again) == lasting(whole)
    made = [(tmp_path / name / "lexicon.fseed").read_bytes() for name in ("whole", "cut")]
    assert made[0] == made[1]


def staged(small: dict[str, Any], **changes: Any) -> tuple[Any, StagedServer]:
    plan = make_plan(RunConfig.parse(small | LEXICON | changes))
    server = plan.server()
    assert isinstance(server, StagedServer)
    return plan, server


def test_a_payload_of_no_stage_is_refused(small: dict[str, Any]) -> None:
    from flwr.app import Context, Message, RecordDict

    from fedseed.federation.client import Client, Given

    plan, server = staged(small)
    context = Context(1, 1, {"partition-id": 0}, RecordDict(), {})
    message = Message(RecordDict(), 1, "train", group_id="1")
    given = Given(plan.config, None, plan.federated)
    client = Client(given, message, context).protocol_client()
    payload = server.configure(1, [0])[0]
    task = ClientTask(payload, plan.federated.shard(0), {}, generator(0, "x"))
    assert client.contribute(task)
    for bad in (b"", b"\x02" + payload[1:], payload[1:]):
        with pytest.raises(WireError):
            client.contribute(dataclasses.replace(task, payload=bad))


def test_a_checkpoint_that_is_cut(small: dict[str, Any]) -> None:
    _, server = staged(small, protocol="weights")
    for bad in (
        b"",
        b"\xff\xff\xff\xff",
        b"\x00\x08\x00\x00\x00seed",
        b"\x01\x09\x00\x00\x00",
        b"\x02\x00\x00\x00\x00\x01",
    ):
        with pytest.raises(WireError):
            server.restore(bad)


def test_nobody_said_a_word(small: dict[str, Any]) -> None:
    """Without a lexicon the run goes on from its own seed."""
    plan, server = staged(small)
    server.configure(1, [0, 1])
    reports = server.aggregate(1, {0: b"", 1: b"x"})
    assert {report.status for report in reports.values()} == {"rejected"}
    assert server.seed() is None
    assert plan.encoded_seed in server.configure(2, [0])[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "lexicon", "rounds": 1}, "--rounds 1"),
        ({"start": "lexicon", "rounds": 2, "start_rounds": 2}, "it takes 2 of them"),
        ({"start": "lexicon", "protocol": "lexicon"}, "--protocol lexicon, which makes its own"),
        ({"start": "lexicon", "seed_file": "x.fseed"}, "--seed-file"),
        ({"start": "lexicon", "privacy": "client", "epsilon": 1.0}, "--privacy"),
        ({"start": "random", "words": 5}, "--words is an option of protocol lexicon"),
        ({"protocol": "lexicon", "then": "lexicon"}, "--then lexicon"),
        ({"protocol": "lexicon", "then": "nothing"}, "unknown protocol 'nothing'"),
        ({"protocol": "weights", "then": "recipe"}, "--then is an option of protocol lexicon"),
    ],
)
def test_starts_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig.parse(options)


def test_what_a_run_begins_from_by_default() -> None:
    assert RunConfig.parse({}).resolved_start == "lexicon"
    assert RunConfig.parse({}).length == 256
    for options in (
        {"protocol": "weights"}, {"rounds": 1}, {"seed_file": "x.fseed"}, {"start": "random"},
        {"model": "minilm"}, {"privacy": "client", "epsilon": 1.0},
    ):  # fmt: skip
        config = RunConfig.parse(options)
        assert (config.resolved_start, config.length) == ("random", 128)
    then = RunConfig.parse({"protocol": "lexicon", "then": "weights", "codec": "int8"})
    assert then == RunConfig.parse({"protocol": "weights", "start": "lexicon", "codec": "int8"})
    for config in (then, RunConfig.parse({})):
        assert RunConfig.parse(config.values()) == config
        assert RunConfig.from_run_config(config.to_run_config()) == config


def test_many_classes_need_a_long_seed(tmp_path: Path, small: dict[str, Any]) -> None:
    path = tmp_path / "many.csv"
    lines = [f"word{n} of number {i} {n},c{n}" for n in range(100) for i in range(6)]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    options = small | {"data": str(path), "start": "auto", "max_length": 16}
    plan = make_plan(RunConfig.parse(options))
    assert plan.config.values()["seed_bytes"] == 100 * 200
    assert isinstance(plan.server(), StagedServer)
    plan = make_plan(RunConfig.parse(options | {"seed_bytes": 9_900}))
    assert plan.config.resolved_start == "random"
    assert not isinstance(plan.server(), StagedServer)
