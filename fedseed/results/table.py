"""The tables at the end of a run, from its record alone."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return "-" if value is None else f"{100 * value:.1f} %"


def new_table(title: str) -> Table:
    """A table in the house's style."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )


def accuracy_rows(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The accuracies of a federated run, by what they are the accuracy of."""
    rows = [("seed, untrained", results["zero_shot"])]
    for name in ("given", "aggregated"):
        for role, words in (
            ("newcomers", "newcomers"),
            ("participants_mean", "participants"),
            ("participants_worst", "worst of them"),
            ("participants_best", "best of them"),
        ):
            if results[name][role] is not None:
                rows.append((f"{name}: {words}", results[name][role]))
    rows.append(("original", results["original"]))
    for name, accuracy in results.get("baselines", {}).items():
        if name != "majority":  # it has a column
            rows.append((_baseline_name(name), accuracy))
    return rows


def _baseline_name(name: str) -> str:
    """What the table calls a baseline such as ``tfidf_bigrams_128_tokens``."""
    words = "bigrams" if "bigrams" in name else "words"
    length = "all" if name.endswith("full") else name.split("_")[-2]
    return f"baseline: {words}, {length}"


def accuracy_table(results: Mapping[str, Any]) -> Table:
    """Accuracy with interval, n, balanced accuracy and majority baseline."""
    title = "Accuracy on the common test split (of several clients: their mean)"
    table = new_table(title)
    for name in ("model", "accuracy", "95 % interval", "n", "balanced", "majority"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for name, accuracy in accuracy_rows(results):
        low, high = accuracy["ci95"]
        table.add_row(
            name, percent(accuracy["value"]), f"{100 * low:.1f} - {100 * high:.1f}",
            f"{accuracy['n']:,}", percent(accuracy["balanced"]),
            percent(accuracy["majority_baseline"]),
        )  # fmt: skip
    return table


def bytes_table(ledger: Mapping[str, Any], rounds: int) -> Table:
    """Bytes of the training rounds."""
    table = new_table(f"Bytes of {rounds} round(s), all clients")
    for name in ("", "down", "up", "largest down*", "largest up*"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, words in (("payload_bytes", "payload"), ("message_bytes", "Flower messages")):
        sums = ledger[name]
        most = sums["per_client_round_max"]
        table.add_row(
            words, f"{sums['down']:,}", f"{sums['up']:,}", f"{most['down']:,}", f"{most['up']:,}"
        )
    return table


PRODUCTS = {"recipe": "aggregated recipe", "seed": "aggregated seed", "model": "shared model"}
"""What a run ends with, by ``ends_with`` of the protocol's description."""


def summary(record: Mapping[str, Any]) -> Group:
    """Everything that is printed at the end of a federated run."""
    ledger = record["ledger"]
    return Group(
        accuracy_table(record["results"]),
        bytes_table(ledger, len(record["rounds"])),
        *(Text(line) for line in [*_about_retention(record), *_about_the_test(record)]),
    )


def _about_retention(record: Mapping[str, Any]) -> list[str]:
    """The recipe, the original, and how much of its accuracy is kept."""
    results, ends_with = record["results"], record["protocol"]["ends_with"]
    retention, product = results["retention"], PRODUCTS[ends_with]
    lines = []
    if recipe := results["aggregated"].get("recipe"):
        words = product if ends_with == "recipe" else "recipe of every round"
        lines.append(
            f"{words}: {recipe['optimiser']}, learning rate {recipe['learning_rate']:g}, "
            f"embeddings x{recipe['embedding_multiplier']:g}, {recipe['steps']} steps of "
            f"{recipe['batch_size']}"
        )
    lines.append(f"original: {results['original']['name']}")
    for name, what in (("zero_shot", "untrained seed"), ("aggregated", product)):
        corrected = retention["chance_corrected"][name]
        lines.append(
            f"retention of the {what}: {percent(retention['plain'][name])} plainly, "
            f"{percent(corrected)} above chance"
        )
    if retention["chance_corrected"]["aggregated"] is None:
        lines.append("- above chance: the original itself is no better than guessing")
    return lines


def _about_the_test(record: Mapping[str, Any]) -> list[str]:
    """What the bytes, the test split and the baselines are."""
    results, size = record["results"], record["ledger"]["fp32_model_bytes"]
    classes = record["provenance"]["dataset"]["classes"]
    counts = results["original"]["class_counts"]
    balance = ", ".join(f"{count:,} {name}" for name, count in zip(classes, counts, strict=True))
    lines = [
        f"* of one client in one round; the weights in fp32 would be {size:,} bytes",
        f"test examples: {balance}",
    ]
    if "baselines" in results:
        lines.append(
            "baselines: TF-IDF of words (and bigrams) with logistic regression, all shards "
            "together, whole texts or their first tokens"
        )
    if record["config"].get("quick"):
        lines.append("this was a --quick run: its numbers mean little")
    return lines


def plan_table(counts: list[list[int]], classes: list[str], clients: int, most: int = 20) -> Table:
    """Examples of each class by client; the middle is left out when there are many."""
    table = new_table("Examples by client")
    for name in ("client", "examples", *(escape(name) for name in classes)):
        table.add_column(name, justify="right", no_wrap=True)
    shown = range(len(counts))
    skipped = len(counts) > most
    if skipped:
        shown = range(most // 2)
    for pid in shown:
        _plan_row(table, pid, counts, clients)
    if skipped:
        table.add_row("...", *("" for _ in range(len(classes) + 1)))
        for pid in range(len(counts) - most // 2, len(counts)):
            _plan_row(table, pid, counts, clients)
    return table


def _plan_row(table: Table, pid: int, counts: list[list[int]], clients: int) -> None:
    name = f"{pid}" if pid < clients else f"{pid} (newcomer)"
    table.add_row(name, f"{sum(counts[pid]):,}", *(f"{count:,}" for count in counts[pid]))
