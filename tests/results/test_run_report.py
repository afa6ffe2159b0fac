"""The report of a federated run: whole, true to its record, careful, made from any record."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.results.record import read_record
from fedseed.results.run_report import run_report
from fedseed.results.run_report.lost import reason_words
from fedseed.results.table import percent
from tests.results.browser import browse, needs_browser
from tests.results.html_page import check_page
from tests.results.test_report import HOSTILE

OFFICIAL = Path(__file__).parents[2] / "results" / "official"
Change = Callable[[dict[str, Any]], None]


def official(name: str = "federated-seed0") -> dict[str, Any]:
    return read_record(OFFICIAL / name / "record.json")


def accuracies(part: Any) -> list[dict[str, Any]]:
    if not isinstance(part, dict):
        return []
    inner = [one for value in part.values() for one in accuracies(value)]
    return [part, *inner] if "ci95" in part else inner


@pytest.mark.parametrize("name", ["federated-seed0", "federated-random-seed1"])
def test_the_report_holds_what_its_record_holds(name: str) -> None:
    record = official(name)
    read = check_page(run_report(record))
    for one in accuracies(record["results"]):
        low, high = (f"{100 * end:.1f}" for end in one["ci95"])
        if one.get("name") != "largest class of the training split":
            assert f"{percent(one['value'])} {low} - {high} {one['n']:,}" in read.text
    for booked in record["ledger"]["rounds"]:
        sizes = (booked["payload_bytes"], booked["message_bytes"])
        numbers = " ".join(f"{size[way]:,}" for size in sizes for way in ("down", "up"))
        assert f"{booked['round']} {numbers} 10 of 10" in read.text
    for client in record["ledger"]["clients"]:
        assert f"client {client['partition_id']} {client['payload_bytes']['down']:,}" in read.text
    most = record["ledger"]["payload_bytes"]["per_client_round_max"]
    assert f"payload {most['down']:,} {most['up']:,}" in read.text
    for words in (record["provenance"]["commit"], *record["provenance"]["packages"].values()):
        assert words in read.text
    assert "2,486 negative, 2,494 positive" in read.text
    assert record["protocol"]["summary"] in read.text
    assert "fedseed run" in read.text
    assert "None failed: all 30 answers" in read.text


def test_the_plain_answer_comes_first() -> None:
    text = check_page(run_report(official())).text
    answer = text.index("is right on 84.4 % (83.3 to 85.4) of 4,980 test texts")
    assert "Always naming the largest class is right on 50.1 %" in text
    assert "at most 1,024 bytes): 85.3 % (84.2 to 86.2; n = 4,980); it lies within" in text
    assert answer < text.index("Bytes of all clients, by round")
    assert (
        "no linear model of equal bytes"
        in check_page(run_report(official("federated-random-seed0"))).text
    )


def test_it_comes_out_alike_and_leaves_the_record_alone() -> None:
    record = official()
    before = copy.deepcopy(record)
    assert run_report(record) == run_report(record)
    assert record == before


def test_the_figure_stands_on_white_in_every_scheme() -> None:
    page = run_report(official())
    assert page.count("<svg") == 2
    assert ".drawing { max-width: none; background: #ffffff; color: #1b1d20; }" in page
    assert "<!--" not in page  # the figure's words in comments


def quick(record: dict[str, Any]) -> None:
    record["config"]["quick"] = True


def useless(record: dict[str, Any]) -> None:
    record["results"]["aggregated"]["newcomers"] |= {"value": 0.5, "ci95": [0.49, 0.51]}


def private(record: dict[str, Any]) -> None:
    record["provenance"]["privacy"] = {
        "unit": "example", "epsilon": 3.9876, "delta": 1e-5, "noise": 1.5, "clip": None,
        "mechanism": "DP-SGD", "rounds_within_budget": 2,
    }  # fmt: skip
    record["config"] |= {"secure_aggregation": True, "threshold": 7}


def noiseless(record: dict[str, Any]) -> None:
    private(record)
    record["provenance"]["privacy"] |= {"epsilon": None, "noise": 0.0}


def lost(record: dict[str, Any]) -> None:
    clients = record["rounds"][1]["clients"]
    clients[0] |= {"status": "timeout", "reason": "TimeoutError: no reply in 3 s"}
    clients[1] |= {"status": "failed", "reason": "ValueError: invalid literal: 'my secret text'"}
    clients[2] |= {"status": "rejected", "reason": "the message is truncated"}
    record["results"]["failures"] = [{"product": "given", "partition_id": 4, "reason": "lost"}]


def sites(record: dict[str, Any]) -> None:
    results = record["results"]
    pooled = results["given"]["newcomers"]
    nobody = dict.fromkeys(results["given"].keys() - {"recipe"})
    for name in ("given", "aggregated"):
        results[name] |= nobody | {"pooled": pooled}
    for name in ("zero_shot", "aggregated_seed", "original", "retention", "baselines",
                 "linear_of_equal_bytes"):  # fmt: skip
        del results[name]
    results["alone"] = pooled
    results["by_site"] = [
        {"partition_id": 0, "name": "North clinic", "given": pooled, "aggregated": pooled,
         "alone": None},
        {"partition_id": 1, "name": "South", "given": None, "aggregated": None, "alone": None},
    ]  # fmt: skip
    dataset = record["provenance"]["dataset"]
    record["provenance"]["dataset"] = {
        "source": dataset["source"], "classes": dataset["classes"],
        "sites": ["North clinic", "South"],
    }  # fmt: skip
    del record["provenance"]["label_counts"], record["provenance"]["topped_up_clients"]
    record["config"] |= {"data": "sites", "classes": "negative,positive"}


def foreign(record: dict[str, Any]) -> None:
    record["config"]["protocol"] = record["protocol"]["name"] = "pigeons"
    record["protocol"] |= {"summary": "letters travel", "ends_with": "seed"}


def warned(record: dict[str, Any]) -> None:
    record["provenance"] |= {
        "warnings": ["not as asked"], "model_notes": ["the head is drawn"], "topped_up_clients": 2,
        "public_texts": {"name": "sentences", "texts": 8530, "sha256": "0"},
        "shard_sizes": {"min": 1, "median": 5, "max": 2000},
    }  # fmt: skip
    record["provenance"]["dataset"]["notes"] = ["the separator is ;"]
    del record["provenance"]["label_counts"]
    record["config"] |= {"poisoned_clients": 1, "drop_rate": 0.3, "partition": "natural", "by": "x"}


def model_tested(record: dict[str, Any]) -> None:
    record["protocol"]["ends_with"] = "model"
    record["rounds"][1]["test"] = record["results"]["original"]
    for name in ("given", "aggregated"):
        del record["results"][name]["recipe"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (quick, ["This was a --quick run: its numbers mean little."]),
        (useless, ["What came out is not shown to be of use"]),
        (private, ["epsilon 3.99 at delta 1e-05 for one text of a client", "noise 1.5",
                   "2 of 3 rounds were within the budget", "from 7 clients on",
                   "counts of test answers carry no noise"]),
        (noiseless, ["Differential privacy: none in effect"]),
        (lost, ["3 of 30 answers could not be used. 1 test(s) are missing.", "no reply in 3 s",
                "ValueError (its message is in record.json)", "the message is truncated",
                "7 of 10", "test of given"]),
        (sites, ["North clinic", "tested by every client on texts of its own",
                 "flwr run APP CONNECTION"]),
        (foreign, ["letters travel", "Nothing is known here", "does not take the options"]),
        (warned, ["Warning: not as asked", "Data: the separator is ;", "Model: the head is drawn",
                  "2 client(s) were left", "8,530 texts: sentences", "natural, by x", "median 5",
                  "The labels of 1 client(s) were flipped", "with probability 0.3"]),
        (model_tested, ["The shared model, tested on the common test split, is right on",
                        "accuracy after it",
                  "86.6 % (85.7 to 87.6), n = 4,980"]),
    ],
)  # fmt: skip
def test_records_of_many_kinds(change: Change, said: list[str]) -> None:
    record = official()
    change(record)
    if change is sites:
        record["provenance"]["machine"]["engine"] = "deployment"
    read = check_page(run_report(record))
    for words in said:
        assert words in read.text
    assert "my secret text" not in read.text


def test_reasons() -> None:
    assert reason_words("DataError: no row") == "DataError: no row"
    assert reason_words("some.module.OddException: quoted") == (
        "some.module.OddException (its message is in record.json)"
    )
    assert len(reason_words("x" * 5000)) < 300


def test_hostile_names_come_out_escaped() -> None:
    record = official()
    sites(record)
    record["config"] |= {"model": HOSTILE, "data": HOSTILE}
    record["protocol"] |= {"name": HOSTILE, "summary": HOSTILE, "given": HOSTILE}
    record["provenance"]["dataset"] |= {"classes": [HOSTILE] * 2, "source": HOSTILE}
    record["provenance"]["packages"] = {HOSTILE: HOSTILE}
    record["results"]["by_site"][0]["name"] = HOSTILE
    record["rounds"][0]["clients"][0] |= {"status": HOSTILE, "reason": HOSTILE}
    page = run_report(record)
    read = check_page(page)
    assert page.count("<script") == 1  # the page's own
    assert page.count("</style>") == 1
    assert "alert(1)" in read.text
    assert "alert(1)" not in read.scripts[0]


def large(record: dict[str, Any], clients: int, rounds: int) -> None:
    """As of a run of many clients in many rounds, some of which fail."""
    one, booked = record["rounds"][2], record["ledger"]["rounds"][2]
    reply = one["clients"][0]
    replies = [reply | {"partition_id": pid} for pid in range(clients)]
    replies[0] = replies[0] | {"status": "failed", "reason": "the message is truncated"}
    record["rounds"] = [one | {"round": n, "clients": replies} for n in range(1, rounds + 1)]
    ledger = record["ledger"]
    ledger["rounds"] = [booked | {"round": number} for number in range(1, rounds + 1)]
    ledger["clients"] = [ledger["clients"][0] | {"partition_id": pid} for pid in range(clients)]
    record["config"]["clients"] = clients
    record["provenance"]["label_counts"] = [[3, 4]] * (clients + 2)


def test_a_run_of_many_clients_and_rounds_has_a_small_page() -> None:
    record = official()
    large(record, clients=1000, rounds=300)
    page = run_report(record)
    read = check_page(page)  # less than 2 MB
    assert "<image" in page
    assert "The 100 rounds between them are in record.json." in read.text
    assert "The 800 clients between them are in record.json." in read.text
    assert "200 more are in record.json." in read.text


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(OFFICIAL / "federated-seed0" / "record.json", tmp_path)
    assert run_app(app, ["report", str(tmp_path)]) == 0
    assert str(tmp_path / "report.html") in capsys.readouterr().out
    out = tmp_path / "other.html"
    assert run_app(app, ["report", str(tmp_path / "record.json"), "--out", str(out)]) == 0
    assert out.read_bytes() == (tmp_path / "report.html").read_bytes()
    assert run_app(app, ["show", str(tmp_path)]) == 0


@needs_browser
def test_a_browser_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    record = official()
    for name, clients in (("small", 0), ("large", 1000)):
        if clients:
            large(record, clients, rounds=20)
        file = tmp_path / f"{name}.html"
        file.write_text(run_report(record), encoding="utf-8")
        assert "What came out" in browse(file) or "How good is what came out?" in browse(file)
