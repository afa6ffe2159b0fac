"""The command line: one clear line for bad input, and nothing left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.tables import option_table, protocol_table
from fedseed.config import RunConfig
from fedseed.protocols import all_protocols, protocol_names

Command = Callable[..., tuple[int, str, str]]

BAD: list[tuple[dict[str, Any], str]] = [
    ({"clients": 0}, "clients = 0"),
    ({"clients": -3}, "clients = -3"),
    ({"clients": "many"}, "--clients"),
    ({"clients": 100_000}, "fewer --clients"),
    ({"clients": 10**9}, "clients"),
    ({"rounds": 0}, "rounds = 0"),
    ({"newcomers": -1}, "newcomers = -1"),
    ({"data": "nowhere"}, "unknown data 'nowhere'"),
    ({"data": "hub"}, "use --data bundled"),
    ({"text_column": "body"}, "--text-column"),
    ({"label_column": "stars"}, "--label-column"),
    ({"recipe": "nowhere.toml"}, "cannot read the recipe"),
    ({"seed_file": "nowhere.fseed"}, "cannot read the seed"),
    ({"model": "bert-huge"}, "unknown model 'bert-huge'"),
    ({"partition": "random"}, "choose from iid"),
    ({"aggregator": "median"}, "choose from log-mean"),
    ({"protocol": "pigeons"}, "choose from adapters, coordinates, labels"),
    ({"cohort": 4}, "--cohort is larger"),
    ({"poisoned_clients": 4}, "--poisoned-clients is larger"),
    ({"cohort": 0}, "cohort = 0"),
    ({"precision": "fp8"}, "precision"),
    ({"device": "cuda:9"}, "use --device cpu"),
    ({"device": "gpu"}, "device"),
    ({"test_every": 0}, "test-every = 0"),
    ({"workers": 0}, "workers"),
    ({"workers": "many"}, "workers"),
    ({"engine": "spark"}, "engine"),
    ({"alpha": 0}, "alpha = 0"),
    ({"alpha": "nan"}, "alpha"),
    ({"drop_rate": 1.5}, "drop-rate = 1.5"),
    ({"min_clients": 4}, "--min-clients is larger"),
    ({"client_timeout": -1}, "client-timeout"),
    ({"max_length": 8}, "max_length 16 is more than --max-length 8"),
    ({"max_length": 4096}, "at most 512 tokens"),
    ({"recipes_per_client": 4}, "--recipes-per-client is larger"),
    ({"scheme": "zeros"}, "scheme"),
    ({"run_seed": -1}, "run-seed"),
    ({"config": "nowhere.toml"}, "cannot read --config"),
    ({"resume": "nowhere"}, "leave out"),
    ({"alpha": 0.1}, "--alpha works with --partition dirichlet or quantity only"),
    ({"shards_per_client": 3}, "--shards-per-client works with --partition shards only"),
    ({"protocol": "weights", "keep": 0.5}, "--keep works with --codec topk only"),
    (
        {"protocol": "weights", "aggregator": "fedex"},
        "--aggregator is an option of protocol recipe, not weights",
    ),
    ({"test_every": 1}, "--test-every works with a --protocol whose server has a model"),
    ({"scheme": "bert", "seed_file": "a.fseed"}, "--scheme works with a new seed"),
]


def refused(result: tuple[int, str, str], says: str) -> None:
    status, _, stderr = result
    assert status == 2, stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert says in stderr


@pytest.mark.parametrize(("change", "says"), BAD, ids=[f"{c}" for c, _ in BAD])
def test_bad_input(command: Command, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    out = tmp_path / "out"
    refused(command(out=out, **change), says)
    assert not out.exists()


def test_an_unknown_flag(command: Command) -> None:
    refused(command("--speed", "9"), "--speed")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 9, "not a readable table"),
        (b"text,label\na,\nb,1\n", "label"),
        (b"text,label\na,1\nb,1\n", "one class"),
        (b"text,label\na,1\na ,0\nb,0\n", "once duplicates are dropped"),
        (b"a,b\n1,2\n", "--text-column"),
    ],
)
def test_bad_data(command: Command, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    refused(command(data=path, out=tmp_path / "out"), says)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("learning_rate = -0.1", "learning_rate = -0.1"),
        ("learning_rate = ", "is not TOML"),
        ("speed = 1", "unknown name 'speed'"),
    ],
)
def test_bad_recipes(command: Command, tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    refused(command(recipe=path, out=tmp_path / "out"), says)


@pytest.mark.parametrize("damage", ["truncated", "altered", "text", "classes"])
def test_bad_seeds(command: Command, tmp_path: Path, damage: str) -> None:
    from fedseed.seeds.codec import encode
    from fedseed.seeds.kinds.random import random_seed

    path = tmp_path / "bad.fseed"
    data = encode(random_seed("bert-tiny", 3 if damage == "classes" else 2, 1, "scaled"))
    damaged = {
        "truncated": data[:-7],
        "altered": data[:12] + bytes([data[12] ^ 1]) + data[13:],
        "text": b"hello",
    }
    path.write_bytes(damaged.get(damage, data))
    refused(command(seed_file=path, out=tmp_path / "out"), "seed")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("asked", ["bert-tiny", "minilm"])
def test_a_seed_of_another_architecture(command: Command, tmp_path: Path, asked: str) -> None:
    from fedseed.seeds.codec import encode
    from fedseed.seeds.kinds.random import random_seed

    path = tmp_path / "mini.fseed"
    path.write_bytes(encode(random_seed("bert-mini", 2, 1, "scaled")))
    refused(
        command(seed_file=path, model=asked, out=tmp_path / "out"),
        f"the seed is for bert-mini, not {asked}: leave out --model",
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(command(out=tmp_path / "file" / "out"), "cannot write --out")
    refused(command(out="/proc/none/out"), "cannot write --out")


def test_a_used_folder_is_kept(command: Command, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("precious")
    refused(command(out=tmp_path), "holds a run already")
    assert (tmp_path / "record.json").read_text() == "precious"


def test_resume_needs_a_run(command: Command, tmp_path: Path) -> None:
    refused(command(defaults=False, resume=tmp_path), "there is no record.json")
    for text, says in (
        ("{", "not a record"),
        ('{"schema": 1}', "not that of a run of kind federated"),
        ('{"schema": 1, "kind": "original", "status": "failed", "config": {}}', "not that of"),
    ):
        (tmp_path / "record.json").write_text(text)
        refused(command(defaults=False, resume=tmp_path), says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("out = 5", "out: write a folder, in quotes"),
        ('dry-run = "false"', "dry-run: write true or false"),
        ("quiet = 1", "quiet: write true or false"),
        ("max-length = 64\nmax_length = 32", "twice, with - and _"),
        ("x = " + "[" * 5000, "is not TOML"),
    ],
)
def test_bad_config_files(command: Command, tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(content)
    refused(command(config=path), says)


def test_the_command_line_wins_over_a_files_folder(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f'out = "{tmp_path / "theirs"}"\nrounds = 1\n')
    assert command(config=path, out=tmp_path / "ours")[0] == 0
    assert (tmp_path / "ours" / "record.json").exists()
    assert not (tmp_path / "theirs").exists()


def test_a_config_file_gives_the_same_options(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('clients = 2\nrun-seed = 7\npartition = "shards"\n')
    status, out, _ = command("--dry-run", config=path, clients=None)
    assert status == 0
    assert "clients = 2" in out
    assert "run-seed = 7" in out
    status, out, _ = command("--dry-run", config=path, clients=3)
    assert "clients = 3" in out
    path.write_text("speed = 2\n")
    refused(command(config=path), "unknown option 'speed'")
    path.write_text("clients = true\n")
    refused(command(config=path, clients=None), "clients = True")
    path.write_text(f'out = "{tmp_path / "here"}"\ndry-run = true\n')
    status, out, _ = command(config=path)
    assert status == 0
    assert not (tmp_path / "here").exists()


def test_quick_keeps_what_was_given() -> None:
    config = RunConfig(quick=True, steps=90, clients=3).with_quick()
    assert (config.steps, config.clients, config.rounds, config.test_examples) == (90, 3, 2, 500)
    assert config.with_quick() == config
    flat = RunConfig(quick=True, clients=3).to_run_config()
    assert RunConfig.from_run_config(flat).with_quick().steps == 15


def test_paths_that_cannot_be_reached(command: Command, tmp_path: Path) -> None:
    refused(command(out=tmp_path / ("x" * 300)), "File name too long")
    refused(command(data="y" * 300), "unknown data")
    refused(command(data="~nobody-here/x.csv"), "unknown data")
    refused(command(defaults=False, resume="z" * 300), "there is no record.json")


def test_dry_run_writes_nothing(command: Command, tmp_path: Path) -> None:
    status, out, _ = command("--dry-run", out=tmp_path / "out")
    assert status == 0
    assert not (tmp_path / "out").exists()
    for words in ("examples", "240 training and 60 test", "a client gets 115 in round 1"):
        assert words in out


def help_text(command: Command, *words: str) -> str:
    """What ``--help`` prints, without its frames and line breaks."""
    import re

    _, out, _ = command(*words, "--help", defaults=False)
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", out).split())


@pytest.mark.parametrize("columns", ["0", "3"])
def test_columns_that_are_no_width(
    command: Command, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert "240 training and 60 test" in command("--dry-run")[1]


def test_help_names_every_option_with_its_default(command: Command) -> None:
    shown = help_text(command)
    for name in RunConfig.names_for_help():
        field = RunConfig.model_fields[name]
        assert "--" + name.replace("_", "-") in shown
        default = "none" if field.default is None else str(field.default)
        assert f"[default: {default}]" in shown


@pytest.mark.parametrize("name", protocol_names())
def test_help_shows_the_options_of_the_protocol_that_is_named(command: Command, name: str) -> None:
    for words in (("--protocol", name), (f"--protocol={name}",)):
        shown = help_text(command, *words).partition("Examples")[0]
        for protocol in all_protocols():
            for option in protocol.options.model_fields:
                flag = "--" + option.replace("_", "-") + " "
                owners = [p.name for p in all_protocols() if option in p.options.model_fields]
                first = name == "recipe" and "lexicon" in owners  # its run begins so
                wanted = name in owners or first
                assert (f" {flag}" in shown) == wanted, (flag, protocol.name)


def test_docs_have_the_protocols_and_their_options() -> None:
    pages = Path(__file__).parents[1] / "docs" / "protocols"
    assert protocol_table() in (pages / "README.md").read_text(encoding="utf-8")
    for name in protocol_names():
        assert option_table(name) in (pages / f"{name}.md").read_text(encoding="utf-8")


def test_quiet_prints_the_table_only(command: Command, tmp_path: Path) -> None:
    status, out, _ = command("--quiet", out=tmp_path / "out")
    assert status == 0
    assert "round 1" not in out
    assert "aggregated: newcomers" in out
    assert "of one client in one round" in out


def test_plain_lines_show_rounds_and_time_left(command: Command, tmp_path: Path) -> None:
    status, out, _ = command(out=tmp_path / "out")
    assert status == 0
    assert "round 1: 3 of 3 clients, validation loss" in out
    assert "left)" in out


def test_run_config_round_trip() -> None:
    config = RunConfig(clients=4, alpha=0.1, client_timeout=2.5)
    flat = config.to_run_config()
    assert flat["recipe"] == ""
    assert RunConfig.from_run_config(flat) == config
