"""A study of nodes with tables of their own: as in a simulation, and agreed upon before."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fedseed.config import FOLDER, RunConfig
from fedseed.errors import ConfigError, DataError, RunError
from fedseed.results.display import Quiet
from fedseed.results.folder import locked, make_folder
from fedseed.runs.command import run_plan
from fedseed.runs.deployment import serve
from fedseed.runs.plan import make_plan
from tests.sites.conftest import node_configs
from tests.sites.nodes import Nodes

SUMMED = {"secure_aggregation": True, "threshold": 3}
COUNTS = {"protocol": "lexicon", "estimate": "counts", "rounds": 1}


def deployed(nodes: Nodes, folder: Path) -> dict[str, Any]:
    serve(nodes, nodes.run_config | {FOLDER: str(folder)})
    record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return record


def simulated(options: dict[str, Any], sites: Path, folder: Path) -> dict[str, Any]:
    plan = make_plan(RunConfig.parse(options | {"data": f"sites:{sites}", "workers": 1}))
    with locked(make_folder(folder)):
        return run_plan(plan, folder, Quiet())


def without_envelopes(record: dict[str, Any]) -> dict[str, Any]:
    """A record without time, engine, and what Flower puts around a payload."""
    out: dict[str, Any] = json.loads(json.dumps(record))
    for name in ("machine", "started", "wall_seconds", "peak_memory_bytes"):
        del out["provenance"][name]
    del out["config"]["data"]  # "sites" of a deployment, "sites:FOLDER" of a simulation
    parts = [out["ledger"], *out["rounds"], *out["ledger"]["rounds"], *out["ledger"]["clients"]]
    for part in (*parts, out["ledger"]["evaluation"]):
        del part["message_bytes"]
        part.pop("seconds", None)
    return out


@pytest.mark.parametrize(
    "options",
    [COUNTS, COUNTS | SUMMED, {"protocol": "weights", "codec": "int8", "test_every": 1},
     {"protocol": "weights", "codec": "int8", "test_every": 1} | SUMMED, {"protocol": "recipe"}],
    ids=["words", "words, summed", "weights", "weights, summed", "recipes"],
)  # fmt: skip
def test_a_deployment_has_the_record_of_the_simulation(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    configs = node_configs(sites)
    for number, config in enumerate(configs):
        config["state"] = str(tmp_path / f"state{number}")
    nodes = Nodes(configs, of_sites | options)
    record = deployed(nodes, tmp_path / "deployed")
    assert record["status"] == "completed"
    assert record["provenance"]["dataset"]["sites"] == ["north", "South bank", "west"]
    pooled = record["results"]["aggregated"]["pooled"]
    assert pooled["n"] == 12 + 10 + 16  # the shares that the sites hold out
    assert ("by_site" in record["results"]) == ("secure_aggregation" not in options)
    same = simulated(of_sites | options, sites, tmp_path / "simulated")
    assert without_envelopes(record) == without_envelopes(same)


def test_nobody_opens_the_table_of_another(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    """Each node's own file is enough for it: the others' are not there."""
    configs = node_configs(sites)
    for number, path in enumerate(sorted(sites.glob("*.toml"))):
        other = tmp_path / f"machine{number}"
        other.mkdir()
        for name in (path.name, *(p.name for p in sites.glob(f"{path.stem}.*"))):
            (other / name).write_bytes((sites / name).read_bytes())
        configs[number]["site"] = str(other / path.name)
    for path in sites.iterdir():
        path.unlink()
    record = deployed(Nodes(configs, of_sites | COUNTS), tmp_path / "out")
    assert record["status"] == "completed"


@pytest.mark.parametrize(
    ("options", "what"),
    [(COUNTS, "model"), ({"protocol": "weights"}, "model"), ({"start": "lexicon"}, "seed")],
    ids=["words", "weights", "recipes after words"],
)
def test_a_server_tests_on_a_table_of_its_own(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    """No client opens it, all of its texts are tested on, and a simulation does the same."""
    rows = ["said,verdict", *(f"fine {n},good\npoor {n},bad" for n in range(8))]
    (tmp_path / "own.csv").write_text("\n".join(rows))
    file = tmp_path / "own.toml"
    file.write_text(
        "data = 'own.csv'\ntext-column = 'said'\nlabel-column = 'verdict'\n"
        "labels = { good = 'positive', bad = 'negative' }\n"
    )
    options = of_sites | options | {"server_test": str(file)}
    record = deployed(Nodes(node_configs(sites), options), tmp_path / "deployed")
    tested = record["results"]["server_test"]
    assert (tested["name"], tested["of"], tested["n"]) == ("own", what, 16)
    assert tested["class_counts"] == [8, 8]
    same = simulated(options, sites, tmp_path / "simulated")
    assert without_envelopes(record) == without_envelopes(same)


def test_a_server_with_nothing_to_test(of_sites: dict[str, Any], sites: Path) -> None:
    file = str(next(sites.glob("*.toml")))
    options = of_sites | {"data": f"sites:{sites}", "protocol": "recipe", "start": "random"}
    with pytest.raises(ConfigError, match="the server has no model: give --start lexicon"):
        make_plan(RunConfig.parse(options | {"server_test": file}))
    with pytest.raises(ConfigError, match=r"--server-test: .*/none\.toml"):
        make_plan(RunConfig.parse(options | {"start": "lexicon", "server_test": "/none.toml"}))


def test_a_server_s_own_texts_are_refused_before_anything(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    """All of one class, another's labels, or texts that models learn from."""
    own = {"data": f"sites:{sites}", "start": "lexicon", "server_test": str(tmp_path / "own.toml")}
    options = of_sites | own | {"classes": "negative,positive"}
    (tmp_path / "own.toml").write_text("data = 'own.csv'\nheld-out = 0.9\n")
    rows = [f"fine {n},positive" for n in range(4)]
    for more, words in (
        ([], "all of one class"),
        (["x,ugly"], r"--server-test: its label.s. ugly"),
    ):
        (tmp_path / "own.csv").write_text("\n".join(["text,label", *rows, *more]))
        with pytest.raises(DataError, match=words):
            make_plan(RunConfig.parse(options))
    (tmp_path / "own.csv").write_text("\n".join(["text,label", *rows, "poor,negative"]))
    plan = make_plan(RunConfig.parse(options))
    assert plan.server_test is not None
    assert len(plan.server_test.test) == 5
    (tmp_path / "public.txt").write_text("fine 2\nanother\n")
    public = {"protocol": "labels", "start": "random", "public": str(tmp_path / "public.txt")}
    with pytest.raises(DataError, match="1 of its texts are test texts"):
        make_plan(RunConfig.parse(options | public))


def refusal(nodes: Nodes, folder: Path) -> str:
    with pytest.raises(RunError, match="nodes do not take part") as refused:
        serve(nodes, nodes.run_config | {FOLDER: str(folder)})
    assert not any(kind.startswith("train") for kind, _, _ in nodes.asked)
    return str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('labels = { "1" = "negative" }', "node 1: 1 of its labels is none of the run's classes"),
        ('labels = { "1" = "bad", "5" = "positive" }', "labels name what is no class of the run"),
        ('labels = { "1" = "negative" }\ntell-labels = true', "node 1: its label.s. 5 is none of"),
        ("most-rounds = 1", "node 1: round 2 is asked for, this node allows 1"),
        ('protocols = "lexicon"', "node 1: protocol weights is asked for, this node allows lex"),
        ('models = ["minilm"]', "node 1: model bert-tiny is asked for, this node allows minilm"),
        ("most-model-bytes = 1000", "node 1: a model of 17,544,712 bytes is asked for"),
        ("most-epsilon = 4", "node 1: this node takes part under --privacy with --epsilon 4"),
        ("most-steps = no", "node 1: the site's file .* is not TOML"),
        ("colour = 'red'", "node 1: --node-config: unknown name 'colour'"),
        ("held-out = 2.0", "node 1: --node-config: held-out = 2.0"),
        ("most-tokens = -1", "node 1: --node-config most-tokens=-1: give a number above 0"),
    ],
)
def test_a_node_that_does_not_fit_says_why_before_the_first_round(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, change: str, words: str
) -> None:
    file = sites / "south.toml"
    kept = [line for line in file.read_text().splitlines() if not change.startswith(line[:6])]
    file.write_text("\n".join([*kept, change]))
    options = of_sites | {"protocol": "weights", "classes": "negative,positive"}
    said = refusal(Nodes(node_configs(sites), options), tmp_path / "out")
    assert re.search(words, said), said
    for text in ("wonderful", "awful"):
        assert text not in said


def test_terms_have_to_be_the_same_on_both_sides(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(node_configs(sites), of_sites | {"protocol": "weights"})
    said = iter(["0.1.0", *["0.2.0"] * 9])
    monkeypatch.setattr("fedseed.federation.terms.version", lambda: next(said))
    assert "fedseed 0.1.0 there, 0.2.0 here: use the same" in refusal(nodes, tmp_path / "out")


def test_classes_are_named_or_told(of_sites: dict[str, Any], sites: Path, tmp_path: Path) -> None:
    (sites / "north.toml").write_text('data = "north.csv"\n')
    nodes = Nodes(node_configs(sites), of_sites | COUNTS)
    with pytest.raises(ConfigError, match=r"the sites tell 0 class.es.* name them with --classes"):
        serve(nodes, nodes.run_config | {FOLDER: str(tmp_path / "out")})
    with pytest.raises(ConfigError, match="name them with --classes"):
        simulated(of_sites | COUNTS, sites, tmp_path / "simulated")


def test_a_node_with_its_own_table_opens_no_other(
    small: dict[str, Any], of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    nodes = Nodes(node_configs(sites), of_sites | {"protocol": "weights", "data": small["data"]})
    assert "this node has texts of its own" in refusal(nodes, tmp_path / "out")


@pytest.mark.parametrize("name", ["site", "data", "state"])
def test_paths_of_a_node_are_whole(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path, name: str
) -> None:
    configs = node_configs(sites)
    configs[0][name] = "here/there"
    said = refusal(Nodes(configs, of_sites | {"protocol": "weights"}), tmp_path / "out")
    assert f"--node-config {name}='here/there' is relative: give the whole path" in said


def test_tests_that_are_told_in_sums_alone(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    with (sites / "west.toml").open("a") as file:
        file.write('tests = "summed"\n')
    record = deployed(Nodes(node_configs(sites), of_sites | COUNTS), tmp_path / "plain")
    told = {site["name"]: site["aggregated"] for site in record["results"]["by_site"]}
    assert told["west"] is None
    assert told["north"]["n"] == 12
    assert record["results"]["aggregated"]["pooled"]["n"] == 22
    reasons = {failure["reason"] for failure in record["results"]["failures"]}
    assert any("it tells no counts of its own" in reason for reason in reasons)
    summed = deployed(Nodes(node_configs(sites), of_sites | COUNTS | SUMMED), tmp_path / "summed")
    assert summed["results"]["aggregated"]["pooled"]["n"] == 38


def test_two_nodes_do_not_share_a_folder(
    of_sites: dict[str, Any], sites: Path, tmp_path: Path
) -> None:
    configs = node_configs(sites, state=str(tmp_path / "state"))
    said = refusal(Nodes(configs, of_sites | COUNTS), tmp_path / "out")
    assert "its state is that of node 0: give each a folder of its own" in said
