"""The page on classifiers that stay at 50 %: every figure is from the record beside it."""

import re
from collections.abc import Mapping
from typing import Any

from fedseed.results.table import percent
from tests.docs.pages import DOCS, flat, official, official_table, read_page, shown, table_lines

PAGE = read_page("docs/guide/stuck-at-50-percent.md")
CAUSES = table_lines(PAGE.split("## A random start")[0])
Accuracy = Mapping[str, Any]


def found(study: str, part: str, **wanted: Any) -> Accuracy:
    """An accuracy of the one cell that is as wanted."""
    cells = official(study)["results"]["cells"]
    (cell,) = [c for c in cells if all(c[name] == value for name, value in wanted.items())]
    accuracy: Accuracy = cell[part]
    return accuracy


def of_clients(name: str) -> Accuracy:
    newcomers: Accuracy = official("federated-random-seed0")["results"][name]["newcomers"]
    return newcomers


def compared(study: str, **wanted: Any) -> Accuracy:
    return found(study, "accuracy", condition=None, **wanted)


def causes() -> list[tuple[str, Accuracy, Accuracy]]:
    """Record, what stays at chance and what helped, in the order of the table."""
    alone = {"test_set": "balanced", "seed_kind": "random", "scheme": "bert"}
    budget = {"test_set": "balanced", "start": "random-scaled"}
    words = {"partition": "dirichlet-0.1"}
    return [
        ("ablation", found("ablation", "after", recipe_name="documents", **alone),
         found("ablation", "after", recipe_name="good", **alone)),
        ("federated-random-seed0", of_clients("given"), of_clients("aggregated")),
        ("budget", found("budget", "after", samples=19_924, steps=10, **budget),
         found("budget", "after", samples=19_924, steps=1_000, **budget)),
        ("budget", found("budget", "after", samples=10, steps=1_000, **budget),
         found("budget", "after", samples=10, steps=5, start="pca", test_set="balanced")),
        ("comparison-words-512", compared("comparison-words-512", row="lexicon", **words),
         compared("comparison-words-512", row="lexicon-counts", **words)),
        ("rates", found("rates", "after", start="random-scaled", learning_rate=0.004),
         found("rates", "after", start="random-scaled", learning_rate=0.0003)),
        ("comparison-models", compared("comparison-models", series="coordinates-4k"),
         compared("comparison-models", series="coordinates-4k (minilm)")),
        ("comparison-128", compared("comparison-128", row="scalars", partition="iid"),
         compared("comparison-128", row="weights", partition="iid")),
        ("privacy", defended("weights", "7.98"),
         compared("comparison-private-words", row="lexicon-counts-private-4", partition="iid")),
    ]  # fmt: skip


def spent(cell: Mapping[str, Any]) -> str:
    """The epsilon of a cell, as the tables write it."""
    return f"{cell['epsilon_claimed'] or 0:.3g}"


def defended(row: str, claimed: str) -> Accuracy:
    """Test accuracy under a budget, as the study of privacy has it."""
    cells = official("privacy")["results"]["cells"]
    accuracy: Accuracy
    (accuracy,) = [
        cell["accuracy"]
        for cell in cells
        if cell["row"] == row and cell.get("accuracy") and spent(cell) == claimed
    ]
    return accuracy


def test_every_cause_is_measured() -> None:
    rows = causes()
    assert len(CAUSES) == 1 + len(rows)
    for line, (record, before, after) in zip(CAUSES[1:], rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == shown(before)
        assert cells[3] == shown(after)
        assert f"results/official/{record}/" in cells[4]
        assert before["ci95"][0] < 0.52
        assert after["ci95"][0] > before["value"]


def test_the_counts_of_test_texts() -> None:
    for record, *both in causes():
        assert {accuracy["n"] for accuracy in both} == {1000 if record == "budget" else 4980}
        assert {percent(accuracy["majority_baseline"]) for accuracy in both} == {"50.1 %"}


def test_the_table_of_steps() -> None:
    lines = table_lines(PAGE.split("## Too few steps")[1].split("\n## ")[0])
    assert len(lines) == 4
    random = official_table("budget").split("**random-scaled**")[1].split("**pca**")[0]
    assert set(lines) <= set(random.splitlines())


def test_what_is_said_of_words() -> None:
    words = compared("comparison-words-512", row="lexicon", partition="iid")
    assert f"sent once, give {shown(words)} before any step" in flat(PAGE)
    skewed = compared("comparison-words-512", row="lexicon", partition="dirichlet-0.1")
    assert sum(repeat > 0.8 for repeat in skewed["repeats"]) == 1
    assert sum(repeat < 0.53 for repeat in skewed["repeats"]) == 2


def test_the_picture_of_rounds_has_the_records_bytes() -> None:
    picture = (DOCS / "concepts" / "rounds.svg").read_text(encoding="utf-8")
    record = official("federated-seed0")
    most = record["ledger"]["payload_bytes"]["per_client_round_max"]
    replies = {one["payload_bytes"]["up"] / 10 for one in record["rounds"][1:]}
    (score,) = replies
    assert re.findall(r"([\d,]+) bytes<", picture) == [
        f"{most['up']:,}", f"{most['down']:,}", f"{score:.0f}"
    ]  # fmt: skip
    assert len(record["rounds"]) == 3
    assert record["config"]["clients"] == 10
