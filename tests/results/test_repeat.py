"""The command that repeats a run or a study: parsed back, it is what the record has."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.exit_status import run_main
from fedseed.cli.federated import _protocol_flags
from fedseed.cli.flags import flags_of, given, with_flags
from fedseed.config import RunConfig
from fedseed.options import Options
from fedseed.results.pages.repeat import asked_options, command_line, repeat_blocks
from fedseed.results.record import read_record
from fedseed.results.report.blocks import Command, Paragraph
from fedseed.runs.plan import make_plan
from fedseed.studies import find_studies

OFFICIAL = Path(__file__).parents[2] / "results" / "official"
SCRIPT = "python simulations/run.py"


def parsed(command: str, options: type[Options]) -> dict[str, Any]:
    """What a command line says, read by the flags of the real command."""
    flags, seen = flags_of(options), []
    if options is RunConfig:
        flags += _protocol_flags("recipe")

    def main(options: Mapping[str, Any]) -> None:
        seen.append(given(options))

    words = shlex.split(command)
    assert words[:2] == SCRIPT.split()
    assert run_main(with_flags(flags)(main), words[2:]) == 0
    return seen[0]


def planned(**options: Any) -> dict[str, Any]:
    """The options of a record: those of a run's plan, and its recipe."""
    config = RunConfig.parse(options)
    config.refuse_without_effect()
    plan = make_plan(config)
    return plan.config.for_record() | {"given_recipe": plan.given.model_dump()}


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({}, 1),
        ({"quick": True, "clients": 7}, 3),
        ({"protocol": "weights", "codec": "int8", "test_every": 2, "partition": "dirichlet",
          "alpha": 0.1, "run_seed": 3}, 7),
        ({"protocol": "weights", "start": "lexicon", "words": 50, "rounds": 4}, 5),
        ({"start": "random", "aggregator": "halving", "recipes_per_client": 3}, 4),
        ({"protocol": "lexicon", "estimate": "counts", "rounds": 1, "secure_aggregation": True,
          "threshold": 6, "privacy": "example", "epsilon": 4.0}, 9),
        ({"protocol": "scalars", "learning": None, "clients": 4, "newcomers": 0}, None),
        ({"max_length": 64, "precision": "fp32"}, 3),
    ],
)  # fmt: skip
def test_a_run(reviews: Path, options: dict[str, Any], flags: int | None) -> None:
    options = {name: value for name, value in options.items() if value is not None}
    config = planned(data=str(reviews), **options)
    asked = asked_options(RunConfig, config, 2)
    assert asked is not None
    assert flags is None or len(asked) == flags
    again = parsed(command_line(SCRIPT, asked), RunConfig)
    assert planned(**again) == config
    assert set(options) <= set(asked)


@pytest.mark.parametrize("path", sorted(OFFICIAL.glob("*/record.json")), ids=str)
def test_official_records(path: Path) -> None:
    record = read_record(path)
    kinds: dict[str, type[Options]] = {"federated": RunConfig}
    kinds |= {kind: about.options_class for kind, about in find_studies().items()}
    if record["kind"] not in kinds:
        return
    options = kinds[record["kind"]]
    command = repeat_blocks(record, options, SCRIPT)[0]
    assert isinstance(command, Command)
    again = options.parse(parsed(command.text, options)).with_quick().for_record()
    resolved = {"start", "max_length", "seed_bytes"}  # by a run's plan
    for name, value in record["config"].items():
        if name not in resolved | {"given_recipe"}:
            assert again[name] == value, name


def test_hostile_words_stay_one_word() -> None:
    data = "a b'; rm -rf ~ \" $(x)\n`y`"
    command = command_line(SCRIPT, {"data": data, "quick": True, "separator": "-", "alpha": 1e-5})
    assert shlex.split(command)[2:] == [
        "--data", data, "--quick", "--separator=-", "--alpha", "1e-05",
    ]  # fmt: skip
    assert parsed(command, RunConfig) == {
        "data": data, "quick": True, "separator": "-", "alpha": 1e-5,
    }  # fmt: skip


def record_of(**config: Any) -> dict[str, Any]:
    return {"config": config, "provenance": {"dataset": {"classes": ["a", "b"]}}}


def test_what_this_version_does_not_know_is_said() -> None:
    for config in ({"protocol": "pigeons"}, {"data": "bundled", "speed": 3}, {"clients": -1}):
        (block,) = repeat_blocks(record_of(**config), RunConfig, SCRIPT)
        assert isinstance(block, Paragraph)
        assert SCRIPT in block.text
    assert asked_options(RunConfig, {"clients": 4, "speed": None}) == {"clients": 4}


def test_other_engines() -> None:
    record = record_of(clients=4)
    record["provenance"]["machine"] = {"engine": "ray"}
    command = repeat_blocks(record, RunConfig, SCRIPT)[0]
    assert isinstance(command, Command)
    assert command.text == f"{SCRIPT} --clients 4 --engine ray"
    record = record_of(
        clients=3, newcomers=0, data="sites", classes='a,"b', secure_aggregation=True,
        protocol="weights", start="random", codec="int8",
    )  # fmt: skip
    record["provenance"]["machine"] = {"engine": "deployment"}
    command = repeat_blocks(record, RunConfig, SCRIPT)[0]
    assert isinstance(command, Command)
    *words, run_config = shlex.split(command.text)
    assert words == ["flwr", "run", "APP", "CONNECTION", "--run-config"]
    assert r'classes="a,\"b"' in run_config
    assert "secure-aggregation=true" in run_config


def test_sites_are_counted_where_they_were(tmp_path: Path) -> None:
    """What is said of a run does not depend on what lies in its folder now."""
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).touch()
    config = {"data": f"sites:{tmp_path}", "clients": 2}
    assert asked_options(RunConfig, config) == config
