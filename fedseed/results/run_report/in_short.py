"""The plain answer first: what came out, beside what else there is, and what it took."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.class_counts import class_balance
from fedseed.results.markdown import interval
from fedseed.results.pages.origin import QUICK
from fedseed.results.report.blocks import (
    Answer,
    Answers,
    Block,
    Figure,
    Figures,
    Notice,
    Paragraph,
    Section,
    Table,
)
from fedseed.results.report.chart import Chart, Item
from fedseed.results.run_report.charts import accuracy_chart
from fedseed.results.run_report.lost import lost_words
from fedseed.results.run_report.outcome import (
    Accuracy,
    beside,
    best_baseline,
    is_quick,
    outcome,
    product_of,
    share,
    tested_words,
    whole,
)
from fedseed.results.run_report.travelled import protection_words
from fedseed.results.table import accuracy_rows, percent


def in_short(record: Mapping[str, Any]) -> Section:
    """The questions that everybody asks, their answers, and a chart of the accuracies."""
    results = record["results"]
    reached = outcome(results).accuracy
    notices: list[Block] = [Notice(QUICK)] if is_quick(record) else []
    if reached["ci95"][0] <= reached["majority_baseline"]:
        notices.append(Notice(
            "What came out is not shown to be of use: always naming the largest class is right on "
            f"{percent(reached['majority_baseline'])} of the same texts."
        ))  # fmt: skip
    quality = [
        Answer("How good is what came out?", _goodness(record), "accuracy", "all accuracies"),
        Answer("Is it better than simpler means?", _means(record), "accuracy", "all accuracies"),
    ]
    rest = [
        Answer("What did it take?", _bytes(record), "bytes", "bytes by round"),
        Answer("What protects the clients?", protection_words(record), "travelled",
               "what travelled"),
        Answer("Did every client come through?", lost_words(record), "lost", "clients that failed"),
    ]  # fmt: skip
    figure = Figure(
        "figure-accuracies", "How often is each right?", _chart(record), _reading(reached)
    )
    return Section(
        "in-short", "In short", [*notices, Answers(quality), Figures([figure]), Answers(rest)]
    )


def _goodness(record: Mapping[str, Any]) -> list[str]:
    results = record["results"]
    reached = outcome(results).accuracy
    classes = record["provenance"]["dataset"]["classes"]
    lines = [
        f"{tested_words(record)} is right on {share(reached)} of {reached['n']:,} test texts. "
        "Brackets hold the 95 % interval.",
        f"Always naming the largest class is right on {percent(reached['majority_baseline'])} of "
        f"them: {class_balance(reached['class_counts'], classes)}.",
    ]
    if untrained := results.get("zero_shot"):
        lines.append(f"The seed that the run began with, untrained: {whole(untrained)}.")
    if seed := results.get("aggregated_seed"):
        lines.append(
            f"The seed that the rounds made, {seed['bytes']:,} bytes, untrained: {whole(seed)}."
        )
    return lines


def _means(record: Mapping[str, Any]) -> list[str]:
    results, lines = record["results"], []
    reached = outcome(results).accuracy
    if linear := results.get("linear_of_equal_bytes"):
        lines.append(
            f"A linear model of equal bytes ({linear['words']:,} weighted words of all clients' "
            f"texts together, at most {linear['bytes']:,} bytes): {whole(linear)}; "
            f"{beside(reached, linear['value'])}."
        )
    else:
        lines.append(
            "The record has no linear model of equal bytes: it is measured for a run whose rounds "
            "make a seed."
        )
    if best := best_baseline(results):
        lines.append(
            f"The best that needs no network ({best['name']}, all texts together): {whole(best)}; "
            f"{beside(reached, best['value'])}."
        )
    if alone := results.get("alone"):
        lines.append(
            f"Each client alone, with a linear model of its own words: {whole(alone)}; "
            f"{beside(reached, alone['value'])}."
        )
    if original := results.get("original"):
        lines.append(
            f"The original ({original['name']}), which has all texts in one place: "
            f"{whole(original)}; {beside(reached, original['value'])}."
        )
    return lines


def _bytes(record: Mapping[str, Any]) -> list[str]:
    ledger, config = record["ledger"], record["config"]
    sums = ledger["payload_bytes"]
    most = sums["per_client_round_max"]
    return [
        f"{len(record['rounds']):,} round(s), {config['clients']:,} clients: {sums['down']:,} "
        f"bytes down and {sums['up']:,} up in all; at most {most['down']:,} down and "
        f"{most['up']:,} up for one client in one round.",
        f"Sending the weights once, in fp32, would take {ledger['fp32_model_bytes']:,} bytes a "
        "client.",
    ]


def _reading(reached: Accuracy) -> str:
    return (
        "The dashed line is what always naming the largest class is right on. An interval speaks "
        f"of the test texts (n = {reached['n']:,} for the first value), not of other runs."
    )


def _chart(record: Mapping[str, Any]) -> Chart:
    items = [Item(label, share(one), one["value"], *one["ci95"]) for label, one in _charted(record)]
    majority = outcome(record["results"]).accuracy["majority_baseline"]
    return accuracy_chart("Accuracy of what came out, and of what else there is", items, majority)


def _charted(record: Mapping[str, Any]) -> list[tuple[str, Accuracy]]:
    """What the chart shows, what came out first."""
    results = record["results"]
    role, reached = outcome(results)
    linear = results.get("linear_of_equal_bytes")
    size = f"linear, {linear['bytes']:,} bytes" if linear else ""
    named = {
        product_of(record): reached,
        record["protocol"]["given"]: results["given"].get(role),
        "the rounds' seed, untrained": results.get("aggregated_seed"),
        "first seed, untrained": results.get("zero_shot"),
        size: linear,
        "each alone, words": results.get("alone"),
        "TF-IDF": best_baseline(results),
        "original": results.get("original"),
    }
    return [(name[:28], one) for name, one in named.items() if one is not None]


def accuracy_section(record: Mapping[str, Any]) -> Section:
    """Every accuracy of the run as a table."""
    rows = [_row(name, one) for name, one in accuracy_rows(record["results"])]
    table = Table(
        "table-accuracies", "Accuracy, with the 95 % interval and the majority baseline of the "
        "same test texts (of several clients: their mean)",
        ["model", "accuracy", "95 % interval", "test texts", "balanced", "majority"], rows,
        "Balanced: the mean of the classes' recalls. " + _about(record), sorts=True,
    )  # fmt: skip
    return Section(
        "accuracy", "All accuracies", [table, *_retention(record), *_recipes(record["results"])]
    )


def _recipes(results: Mapping[str, Any]) -> list[Block]:
    """How clients trained: by the given recipe, and by the one that came out."""
    given, made = (results[name].get("recipe") for name in ("given", "aggregated"))
    if not given or not made:
        return []
    rows = [
        [name.replace("_", " "), _value(value), _value(made[name])] for name, value in given.items()
    ]
    return [Table("table-recipes", "Recipes", ["what", "given", "aggregated"], rows)]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(name: str, accuracy: Accuracy) -> list[str]:
    ends = interval(accuracy["ci95"], lambda end: f"{100 * end:.1f}")
    return [
        name, percent(accuracy["value"]), ends, f"{accuracy['n']:,}", percent(accuracy["balanced"]),
        percent(accuracy["majority_baseline"]),
    ]  # fmt: skip


def _about(record: Mapping[str, Any]) -> str:
    protocol = record["protocol"]
    return (
        f"Given stands for: {protocol['given']}; aggregated for: {protocol['aggregated']}. "
        "Baselines: TF-IDF of words (and bigrams) with logistic regression, all shards together, "
        "whole texts or their first tokens."
    )


def _retention(record: Mapping[str, Any]) -> list[Block]:
    retention = record["results"].get("retention")
    if retention is None:
        return []
    kept, corrected = retention["plain"], retention["chance_corrected"]
    return [Paragraph(
        f"Of the original's accuracy the {product_of(record)} keeps {percent(kept['aggregated'])}, "
        f"and {percent(corrected['aggregated'])} of what it has above chance; the untrained seed "
        f"{percent(kept['zero_shot'])} and {percent(corrected['zero_shot'])}."
    )]  # fmt: skip
