"""The tables at the end of a run, from its record alone."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fedseed.results.class_counts import class_balance
from fedseed.results.fitting import new_table


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return "-" if value is None else f"{100 * value:.1f} %"


_DETAILS = ("participants_worst", "participants_best")
"""Roles that the end of a run can do without."""


def accuracy_rows(
    results: Mapping[str, Any], *, brief: bool = False
) -> list[tuple[str, Mapping[str, Any]]]:
    """The accuracies of a federated run, by what they are the accuracy of.

    Args:
        results: of its record.
        brief: only those that sum it up: means of clients, one baseline.
    """
    rows = [("seed, untrained", results["zero_shot"])] if "zero_shot" in results else []
    if "aggregated_seed" in results:
        rows.append(("aggregated seed, 0 steps", results["aggregated_seed"]))
    for name in ("given", "aggregated"):
        for role, words in (
            ("newcomers", "newcomers"),
            ("participants_mean", "participants"),
            ("participants_worst", "worst of them"),
            ("participants_best", "best of them"),
            ("pooled", "all clients' texts"),
        ):
            if results[name].get(role) is not None and not (brief and role in _DETAILS):
                rows.append((f"{name}: {words}", results[name][role]))
    if own := results.get("server_test"):
        rows.append((f"{own['of']}, server's texts", own))
    rows += _by_clients(results)
    if "original" in results:
        rows.append(("original", results["original"]))
    if linear := results.get("linear_of_equal_bytes"):
        rows.append((f"linear, {linear['bytes']:,} bytes", linear))
    baselines = [name for name in results.get("baselines", {}) if name != "majority"]  # a column
    for name in baselines[:1] if brief else baselines:
        rows.append((_baseline_name(name), results["baselines"][name]))
    return rows


def _by_clients(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Where each client tested on its own texts: what each has alone, and single sites."""
    rows = []
    if alone := results.get("alone"):
        rows.append(("each alone, bag of words", alone))
    for site in results.get("by_site", [])[:_MOST_SITES]:
        rows += [
            (f"{site['name'][:24]}: {name}", site[name])
            for name in ("aggregated", "alone")
            if site.get(name) is not None
        ]
    return rows


_MOST_SITES = 8
"""Sites that the table has a row for; the record has all."""


def _baseline_name(name: str) -> str:
    """What the table calls a baseline such as ``tfidf_bigrams_128_tokens``."""
    words = "bigrams" if "bigrams" in name else "words"
    length = "all" if name.endswith("full") else name.split("_")[-2]
    return f"baseline: {words}, {length}"


def accuracy_table(results: Mapping[str, Any], *, brief: bool = False) -> Table:
    """Accuracy with interval, n, balanced accuracy and majority baseline.

    Args:
        results: of a federated run's record.
        brief: leave rows out that a summary can do without.
    """
    title = "Accuracy on the common test split (of several clients: their mean)"
    if "pooled" in results["given"]:
        title = "Accuracy on texts that the clients hold out"
    table = new_table(title)
    for name in ("model", "accuracy", "95 % interval", "n", "balanced", "majority"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for name, accuracy in accuracy_rows(results, brief=brief):
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


def summary(record: Mapping[str, Any], *, brief: bool = False) -> Group:
    """A federated run's tables, and what is to be known about them.

    Args:
        record: of a federated run.
        brief: leave rows out, as at the end of a run, where all has to fit a screen.
    """
    ledger = record["ledger"]
    return Group(
        accuracy_table(record["results"], brief=brief),
        bytes_table(ledger, len(record["rounds"])),
        *(Text(line) for line in [*_about_retention(record), *_about_the_test(record, brief)]),
    )


def _about_retention(record: Mapping[str, Any]) -> list[str]:
    """The recipe, the original, and how much of its accuracy is kept."""
    results, ends_with = record["results"], record["protocol"]["ends_with"]
    retention, product = results.get("retention"), PRODUCTS[ends_with]
    lines = []
    if recipe := results["aggregated"].get("recipe"):
        words = product if ends_with == "recipe" else "recipe of every round"
        lines.append(
            f"{words}: {recipe['optimiser']}, learning rate {recipe['learning_rate']:g}, "
            f"embeddings x{recipe['embedding_multiplier']:g}, {recipe['steps']} steps of "
            f"{recipe['batch_size']}"
        )
    if "aggregated_seed" in results:
        lines.append(_about_the_seed(results["aggregated_seed"]))
    if retention is None:  # nobody has all texts together
        return lines
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


def _about_the_seed(seed: Mapping[str, Any]) -> str:
    """What the seed that the rounds made is; older records have weighted words alone."""
    kind, size = seed.get("kind", "lexicon"), f"{seed['bytes']:,} bytes"
    if kind == "lexicon":
        return (
            f"aggregated seed: weighted words in {size}; "
            "untrained, the model that it assembles is a bag of words and no more"
        )
    return f"aggregated seed: {kind}, {size}"


def _about_the_test(record: Mapping[str, Any], brief: bool) -> list[str]:
    """What the bytes, the test split and the baselines are."""
    results, size = record["results"], record["ledger"]["fp32_model_bytes"]
    classes = record["provenance"]["dataset"]["classes"]
    counts = results.get("original", results["given"].get("pooled", {}))["class_counts"]
    lines = [
        f"* of one client in one round; the weights in fp32 would be {size:,} bytes",
        f"test examples: {class_balance(counts, classes)}",
    ]
    if own := results.get("server_test"):
        lines.append(
            f"server's texts ({own['name']}): {class_balance(own['class_counts'], classes)}"
        )
    if "baselines" in results:
        which = "of words" if brief else "of words (and bigrams)"
        kept = "whole texts" if brief else "whole texts or their first tokens"
        lines.append(
            f"baselines: TF-IDF {which} with logistic regression, all shards together, {kept}"
        )
    if "alone" in results:
        lines.append(
            "each alone: a linear model of words, trained by each client on its own texts and "
            "tested on those that it holds out"
        )
    if linear := results.get("linear_of_equal_bytes"):
        lines.append(
            f"linear: {linear['words']:,} weighted words of all shards together, in at most "
            f"{linear['bytes']:,} bytes"
        )
    if record["config"].get("quick"):
        lines.append("this was a --quick run: its numbers mean little")
    return lines
