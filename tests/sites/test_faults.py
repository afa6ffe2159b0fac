"""Nodes and servers that are killed at random: a study goes on, or ends with a line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from fedseed.config import FOLDER, RunConfig
from fedseed.errors import RunError, WireError
from fedseed.federation.node_state import NodeState
from fedseed.runs.deployment import serve
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
    once = "secure_aggregation" in options or "privacy" in options
    if record is None:
        assert once, line
        assert any(words in line for words in ("summed already", "is past", "too few")), line
    else:
        assert record["status"] == "completed"
        assert attempts == 1 or kind == "server" or once
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
    study = (tmp_path / "first" / "study").read_text()
    again = tmp_path / "again"
    again.mkdir()
    (again / "study").write_text(study)  # a server that pretends to go on
    with pytest.raises(RunError, match="round 1 is summed already"):
        serve(first, first.run_config | {FOLDER: str(again)})
    other = Nodes(configs, options, run_id=3)
    with pytest.raises(RunError, match="epsilon 4 is asked for, of 6 in all 4 are spent"):
        serve(other, other.run_config | {FOLDER: str(tmp_path / "other")})
    smaller = Nodes(configs, options | {"epsilon": 2.0}, run_id=4)
    assert deployed(smaller, tmp_path / "smaller")["status"] == "completed"
    spent = json.loads((tmp_path / "state0" / "spent.json").read_text())
    assert sorted(spent.values()) == [2.0, 4.0]


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
    again = tmp_path / "again"
    again.mkdir()
    (again / "study").write_text((tmp_path / "first" / "study").read_text())
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
