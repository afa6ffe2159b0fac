"""Nodes and servers that are killed at random: a study goes on, or ends with a line."""

import hashlib
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from fedseed.config import FOLDER, RunConfig
from fedseed.errors import RunError, WireError
from fedseed.federation.messages import content, payload_of
from fedseed.federation.node_state import NodeState
from fedseed.protocols.lexicon.client import LexiconClient
from fedseed.runs.deployment import serve
from fedseed.transcript import Transcript
from tests.sites.conftest import node_configs
from tests.sites.nodes import Nodes
from tests.sites.test_deployed import COUNTS, SUMMED, deployed, without_envelopes

WEIGHTS = {"protocol": "weights", "codec": "int8"}
NOISED = COUNTS | {"privacy": "example", "epsilon": 4.0}


class ServerKilledError(BaseException):
    """What a kill looks like from inside."""


def configs_of(sites: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """Nodes with a folder each."""
    configs = node_configs(sites)
    for number, config in enumerate(configs):
        config["state"] = str(tmp_path / f"state{number}")
    return configs


def counters(tmp_path: Path, number: int) -> list[dict[str, str]]:
    """What a node has answered, by study."""
    files = sorted((tmp_path / f"state{number}").glob("*/counters.json"))
    return [json.loads(path.read_text()) for path in files]


class Fault:
    """Something happens once, at the n-th message that belongs to a round or a test."""

    def __init__(self, at: int, kind: str) -> None:
        self.at, self.kind, self.seen = at, kind, 0

    def __call__(self, message: Message, number: int) -> str:
        if message.metadata.message_type.startswith("query"):
            return ""
        self.seen += 1
        if self.seen != self.at:
            return ""
        if self.kind == "server":
            raise ServerKilledError
        return self.kind


def with_faults(
    nodes: Nodes, folder: Path, attempts: int = 3
) -> tuple[dict[str, Any] | None, str, int]:
    """Serve again and again; returns the record, the last line, and how often it was begun."""
    line = ""
    for attempt in range(1, attempts + 1):
        try:
            return deployed(nodes, folder), "", attempt
        except RunError as error:
            line = str(error)
        except ServerKilledError:
            line = "killed"
        nodes.restart(nodes.run_id + 1)
    return None, line, attempts


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(
    "options", [COUNTS, WEIGHTS, COUNTS | SUMMED, NOISED | SUMMED],
    ids=["words", "weights", "words, summed", "words, summed and noised"],
)  # fmt: skip
def test_a_fault_at_random(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, options: dict[str, Any], number: int
) -> None:
    rng = np.random.default_rng([number, len(options)])
    kind = ("before", "lost", "server")[number % 3]
    fault = Fault(int(rng.integers(1, 24)), kind)
    nodes = Nodes(configs_of(sites, tmp_path), of_sites | options, loss=fault)
    record, line, attempts = with_faults(nodes, tmp_path / "out")
    assert record is not None, line
    assert record["status"] == "completed"
    assert attempts == 1 or kind == "server" or "secure_aggregation" in options
    for node in range(3):
        spent = tmp_path / f"state{node}" / "spent.json"
        if spent.exists():
            assert list(json.loads(spent.read_text()).values()) == [4.0]
        assert len(counters(tmp_path, node)) <= 1  # one study, whatever was begun again


@pytest.mark.parametrize("at", [1, 2, 4, 5, 7, 8])
def test_a_server_that_is_killed_ends_with_the_undisturbed_record(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, at: int
) -> None:
    undisturbed = deployed(Nodes(node_configs(sites), of_sites | WEIGHTS), tmp_path / "one")
    nodes = Nodes(
        configs_of(sites, tmp_path), of_sites | WEIGHTS, loss=Fault(at, "server")
    )  # fmt: skip
    record, _, attempts = with_faults(nodes, tmp_path / "two")
    assert attempts == 2
    assert record is not None
    assert without_envelopes(record) == without_envelopes(undisturbed)


def test_epsilon_is_spent_once_over_restarts_and_in_all(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    """A node that forgets everything but its folder answers no round of a study twice."""
    configs = configs_of(sites, tmp_path)
    for config in configs:
        config["most-epsilon"] = 6.0
    options = of_sites | NOISED | SUMMED
    first = Nodes(configs, options)
    deployed(first, tmp_path / "first")
    first.restart(2)
    again = pretending(tmp_path)
    deployed(first, again)
    for name in ("train", "train.advertise", "train.reveal", "evaluate"):
        assert told(again, name) == told(tmp_path / "first", name)  # to the bit: noise too
    other = Nodes(configs, options, run_id=3)
    with pytest.raises(RunError, match="epsilon 4 is asked for, of 6 in all 4 are spent"):
        serve(other, other.run_config | {FOLDER: str(tmp_path / "other")})
    smaller = Nodes(configs, options | {"epsilon": 2.0}, run_id=4)
    assert deployed(smaller, tmp_path / "smaller")["status"] == "completed"
    spent = json.loads((tmp_path / "state0" / "spent.json").read_text())
    assert sorted(spent.values()) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("train", NOISED | SUMMED, "no sum of round 1 has begun"),
        ("train.advertise", NOISED | SUMMED, "round 1 is summed already"),
        ("train.reveal", NOISED | SUMMED, "a map of parts is too long"),
        ("train", NOISED, "the privacy budget covers it once"),
    ],
)
def test_another_question_of_the_same_round_is_refused(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path,
    kind: str, options: dict[str, Any], words: str,
) -> None:  # fmt: skip
    nodes = Nodes(configs_of(sites, tmp_path), of_sites | options)
    deployed(nodes, tmp_path / "out")
    asked, said = told(tmp_path / "out", kind)[0]
    assert sha256(replied(nodes, kind, asked)) == said
    assert sha256(replied(nodes, kind, asked)) == said
    with pytest.raises(RunError, match=words):
        replied(nodes, kind, asked + b"!")


def test_a_sum_begins_anew_while_nothing_was_in_it(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    """Keys were shared without node 2, which is back when the killed server is: other keys."""
    times = itertools.count()

    def loss(message: Message, number: int) -> str:
        kind = message.metadata.message_type
        if kind == "train.advertise" and number == 2 and next(times) == 0:
            return "before"
        if kind == "train" and next(times) == 1:
            raise ServerKilledError
        return ""

    options = COUNTS | {"secure_aggregation": True, "threshold": 2}
    nodes = Nodes(configs_of(sites, tmp_path), of_sites | options, loss=loss)
    record, line, attempts = with_faults(nodes, tmp_path / "out")
    assert record is not None, line
    assert attempts == 3
    statuses = [client["status"] for client in record["rounds"][0]["clients"]]
    assert statuses == ["ok", "ok", "failed"]  # its keys were shared once more, in between


def test_two_runs_of_a_study_at_the_same_time_get_one_answer(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may submit a study twice, and ask both runs for the same round at once."""
    nodes = Nodes(configs_of(sites, tmp_path), of_sites | NOISED)
    agreed = []

    def ends(message: Message, number: int) -> str:
        agreed.append(number)
        return "" if message.metadata.message_type.startswith("query") else "before"

    nodes.loss = ends
    with pytest.raises(RunError):
        deployed(nodes, tmp_path / "first")
    nodes.loss = lambda *_: ""
    asked = told_down(tmp_path / "first")
    honest, at_work, most = LexiconClient.contribute, [], []

    def slowly(self: Any, task: Any) -> bytes:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.3)
        try:
            return honest(self, task)
        finally:
            at_work.pop()

    monkeypatch.setattr(LexiconClient, "contribute", slowly)
    with ThreadPoolExecutor(2) as pool:
        replies = [pool.submit(replied, nodes, "train", asked) for _ in range(2)]
        answers = {reply.result() for reply in replies}
    assert len(answers) == 1  # noise and all
    assert most == [1]


def told_down(folder: Path) -> bytes:
    """What node 0 was asked in round 1."""
    return told(folder, "train")[0][0]


def pretending(tmp_path: Path) -> Path:
    """A new folder that goes on with the study in the folder ``first``."""
    again = tmp_path / "again"
    again.mkdir()
    (again / "study").write_text((tmp_path / "first" / "study").read_text())
    return again


def told(folder: Path, kind: str) -> list[tuple[bytes, str]]:
    """Questions of a kind, and digests of their answers, by node."""
    exchanges = [one for one in Transcript(folder / "transcript.jsonl") if one.phase == kind]
    found = []
    for one in sorted(exchanges, key=lambda one: one.partition_id):
        cut = [digest for name, _, digest in one.left_out if name == "up"]
        found.append((one.down, cut[0] if cut else sha256(one.up)))
    return found


def sha256(data: bytes) -> str:
    """The digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def replied(nodes: Nodes, kind: str, payload: bytes) -> bytes:
    """What node 0 says to one more message of round 1."""
    message = Message(content(payload), 100, kind, group_id="1")
    [reply] = nodes.pull_messages(nodes.push_messages([message]))
    if reply.has_error():
        raise RunError(reply.error.reason)
    return payload_of(reply)


def test_a_study_keeps_its_epsilon_and_its_delta(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    """A server that goes on with another epsilon would be given less noise than was promised."""
    state = NodeState(tmp_path / "state")
    state.spend("0" * 32, 2.0, 6.0)
    state.spend("0" * 32, 2.0, 6.0)
    with pytest.raises(WireError, match="this study began with epsilon 2, not 5"):
        state.spend("0" * 32, 5.0, 6.0)
    with pytest.raises(WireError, match="epsilon 5 is asked for, of 6 in all 2 are spent"):
        state.spend("1" * 32, 5.0, 6.0)
    configs = configs_of(sites, tmp_path)
    for config in configs:
        config["most-epsilon"] = 6.0
    options = of_sites | {
        "protocol": "weights", "privacy": "client", "epsilon": 2.0, "clip": 1.0, "rounds": 3,
    }  # fmt: skip
    lax = Nodes(configs, options | {"delta": 0.9}, run_id=3)
    with pytest.raises(RunError, match=r"delta 0.9 is asked for, this node allows 1e-05"):
        serve(lax, lax.run_config | {FOLDER: str(tmp_path / "lax")})


def test_a_study_keeps_its_terms(of_sites: dict[str, Any], sites: Path, tmp_path: Path) -> None:
    configs = configs_of(sites, tmp_path)
    deployed(Nodes(configs, of_sites | WEIGHTS), tmp_path / "first")
    again = pretending(tmp_path)
    longer = Nodes(configs, of_sites | WEIGHTS | {"rounds": 4}, run_id=2)
    with pytest.raises(RunError, match="this study began with other options"):
        serve(longer, longer.run_config | {FOLDER: str(again)})


@pytest.mark.parametrize("state", [True, False])
def test_a_run_keeps_the_options_that_were_agreed(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, state: bool
) -> None:
    """Whoever carries the messages may change a run's options under way."""
    configs = configs_of(sites, tmp_path) if state else node_configs(sites)
    nodes = Nodes(configs, of_sites | WEIGHTS)

    def changed(message: Message, number: int) -> str:
        if message.metadata.message_type == "train":
            nodes.change(number, steps=4)
        return ""

    nodes.loss = changed
    with pytest.raises(RunError, match="the run's options are not those that were agreed"):
        deployed(nodes, tmp_path / "out")


@pytest.mark.parametrize("study", ["../../etc", "", "0" * 31, "zz" * 16])
def test_a_study_s_name_is_no_path(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, study: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "study").write_text(study)
    nodes = Nodes(configs_of(sites, tmp_path), of_sites | WEIGHTS)
    with pytest.raises(Exception, match="study is damaged: begin in another folder"):
        serve(nodes, nodes.run_config | {FOLDER: str(folder)})


def test_a_folder_goes_on_with_its_own_options_alone(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    nodes = Nodes(configs_of(sites, tmp_path), of_sites | WEIGHTS, loss=Fault(4, "server"))
    with pytest.raises(ServerKilledError):
        deployed(nodes, tmp_path / "out")
    other = RunConfig.parse(of_sites | WEIGHTS | {"steps": 4}).to_run_config()
    with pytest.raises(Exception, match="steps"):
        serve(nodes, other | {FOLDER: str(tmp_path / "out")})
