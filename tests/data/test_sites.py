"""A site's file and table: read as its owner means it, or refused in a line without a cell."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.data.clients import open_clients
from fedseed.data.sites.site import Site, read_site_file, site_values
from fedseed.data.sites.table import open_site, under_classes
from fedseed.errors import ConfigError, DataError
from fedseed.models.published import tokenizer_file

SECRET = "Zanzibar"


def table(folder: Path, labels: list[str]) -> Path:
    """A table of distinct texts with these labels."""
    path = folder / "texts.csv"
    rows = [f"{SECRET} text number {n},{label}\n" for n, label in enumerate(labels)]
    path.write_text("text,label\n" + "".join(rows))
    return path


def opened(folder: Path, cells: list[str], classes: list[str], **says: Any) -> Any:
    site = Site.of({"data": str(table(folder, cells)), **says}, "the site")
    dataset = open_site(site, tokenizer_file("bert-tiny"), 16)
    return under_classes(site, dataset, classes)


def test_labels_are_what_the_run_calls_them(tmp_path: Path) -> None:
    labels = ["1", "5", "3"] * 10
    named = {"labels": {"1": "bad", "5": "good", "3": "fair"}}
    numbers = opened(tmp_path, labels, ["good", "bad", "fair"], **named).table.labels
    assert sorted(np.bincount(numbers).tolist()) == [10, 10, 10]
    assert numbers[:3].tolist() == [1, 0, 2]
    left = opened(tmp_path, labels, ["good", "bad"], **named, other_labels="leave-out")
    rows = np.concatenate([left.train, left.test])
    assert len(rows) == 20
    alike = opened(tmp_path, ["Good", "BAD "] * 10, ["bad", "good"]).table.labels
    assert alike[:2].tolist() == [1, 0]


@pytest.mark.parametrize(("tells", "named"), [(False, "1 of its labels"), (True, "label.s. good")])
def test_a_label_of_no_class_is_named_where_it_may_be(
    tmp_path: Path, tells: bool, named: str
) -> None:
    with pytest.raises(DataError, match=named) as refused:
        opened(tmp_path, ["good", "bad"] * 10, ["bad", "best"], tell_labels=tells)
    assert SECRET not in str(refused.value)
    assert ("good" in str(refused.value)) == tells


def test_a_site_may_have_one_class_and_few_texts(tmp_path: Path) -> None:
    one = opened(tmp_path, ["good"] * 3, ["bad", "good"])
    assert len(one.train) + len(one.test) == 3
    assert len(one.train) >= 2
    none = opened(tmp_path, ["good", "bad"] * 10, ["bad", "good"], held_out=0.0)
    assert len(none.test) == 0
    half = opened(tmp_path, ["good", "bad"] * 10, ["bad", "good"], held_out=0.5)
    assert len(half.test) == 10
    assert not set(half.test) & set(half.train)
    with pytest.raises(DataError, match="no text of the run's classes is left to train on"):
        opened(tmp_path, ["good"] * 4, ["bad", "best"], other_labels="leave-out")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no table: give data = 'PATH'"),
        ("data = 3", "names no table"),
        ("data = 'x.csv'\nheld-out = 'much'", "held-out"),
        ("data = 'x.csv'\ntexts = 'body'", "unknown name 'texts'"),
        ("data = 'x.csv'\ntests = 'all'", "tests"),
        ("data = 'x.csv'\nlabels = 'a:b'", "write OWN=CLASS"),
        ("data = 'x.csv'\nlabels = '{a=b}'", "is what it has to look like, and is not JSON"),
        ("data = 'x.csv'\nlabels = '{\"a\": 1}'", "labels"),
        (f"data = 'x.csv'\nname = '{'n' * 61}'", "at most 60 printable letters"),
        ("data = ", "is not TOML"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        Site.of(read_site_file(file), "the site's file")


def test_names_with_commas_stand_in_an_object(tmp_path: Path) -> None:
    text = json.dumps({"bad, or so": "bad", "1=5": "good"})
    assert Site.of({"data": "x.csv", "labels": text}, "the site").labels == json.loads(text)


def test_a_node_s_own_words_count_first(tmp_path: Path) -> None:
    file = tmp_path / "west.toml"
    file.write_text("data = 'x.csv'\nheld-out = 0.3\nmost-rounds = 5\n")
    given = {"partition-id": 2, "site": str(file), "held-out": 0.4, "labels": "1=bad, 5=good"}
    values = site_values(given)
    site = Site.of(values, "--node-config")
    assert (site.name, site.held_out) == ("west", 0.4)
    assert site.labels == {"1": "bad", "5": "good"}
    assert site.data == str(tmp_path / "x.csv")
    assert values["most-rounds"] == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": "a,b"}, "--classes works with --data sites only"),
        ({"server_test": "own.toml"}, "--server-test works with --data sites only"),
        ({"data": "sites", "server_test": ""}, "no name or path"),
        ({"data": "sites", "smallest_site": 3, "text_column": "x"}, "are the sites' own"),
        ({"data": "sites", "evaluate": "common"}, "nobody has a common test split"),
        ({"data": "sites", "classes": "a,a"}, "give two names at least, none of them twice"),
        ({"data": "sites", "protocol": "weights", "privacy": "example", "epsilon": 1.0,
          "clip": 1.0}, "give --smallest-site"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RunConfig.parse(options)


def test_sites_of_a_folder_that_is_none(tmp_path: Path) -> None:
    for data in ("sites:", f"sites:{tmp_path}", "sites:/none"):
        with pytest.raises(ConfigError, match=r"no folder with a .toml file for each site"):
            open_clients(RunConfig.parse({"data": data, "classes": "a,b"}))
    with pytest.raises(ConfigError, match="is for deployments: give --data sites:FOLDER"):
        open_clients(RunConfig.parse({"data": "sites", "classes": "a,b"}))


def test_clients_hold_out_texts_of_their_own(small: dict[str, Any]) -> None:
    config = RunConfig.parse(small | {"evaluate": "federated", "held_out": 0.25})
    federated = open_clients(config)
    whole = open_clients(RunConfig.parse(small))
    assert federated.tests is not None
    for pid, (rows, tests) in enumerate(zip(federated.parts, federated.tests, strict=True)):
        assert not set(rows) & set(tests)
        assert sorted([*rows, *tests]) == whole.parts[pid].tolist()
        assert len(tests) == round(0.25 * len(whole.parts[pid]))
        assert federated.test_rows(pid).tolist() == tests.tolist()


def test_limits_may_stand_in_a_site_s_file() -> None:
    from dataclasses import fields

    from fedseed.data.sites.site import LIMITS
    from fedseed.federation.limits import Limits

    values = {"epsilon": 1.0, "delta": 1e-6, "protocols": "weights", "models": ["minilm"]}
    for field in fields(Limits):
        (key,) = [
            key for key in LIMITS if key.removeprefix("most-").replace("-", "_") == field.name
        ]
        value = values.get(field.name, 7)
        told = getattr(Limits.of({key: value}), field.name)
        assert told in (value, ("weights",), ("minilm",))
    assert len(LIMITS) == len(fields(Limits)) + 1  # and the folder of the state


def test_a_missing_table_is_named_without_its_path(tmp_path: Path) -> None:
    site = Site(data=str(tmp_path / "secret-ward" / "reviews.csv"))
    with pytest.raises(DataError, match=r"unknown data 'reviews\.csv'") as caught:
        open_site(site, tokenizer_file("bert-tiny"), 16)
    assert "secret-ward" not in str(caught.value)
