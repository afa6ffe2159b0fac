"""Parts of the studies' tables, as Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fedseed.results.class_counts import class_balance
from fedseed.results.table import percent

DETAILS = "## In detail"
"""What stands below it is in table.md alone, not on the screen."""
ONE = "one run"
"""Stands for an interval where nothing is known of the spread."""
ALIKE = "all alike"
"""Stands for an interval where several values are the same."""
QUICK = "**This was a `--quick` run: its numbers mean little.**"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is text, the others are numbers."""
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def with_interval(share: Mapping[str, Any]) -> str:
    """A share with its 95 % interval; a single value of several that there might be has none."""
    words = interval(share["ci95"], lambda end: f"{100 * end:.1f}")
    return f"{percent(share['value'])} ({words})"


def interval(
    ends: Sequence[float] | None, write: Callable[[float], str], between: str = " - "
) -> str:
    """Both ends of an interval, or what stands for one.

    Values that are all alike bound nothing: an interval of no width would claim certainty.

    Args:
        ends: lower and upper end; None for a mean whose values have no known spread.
        write: writes an end.
        between: what stands between them.
    """
    if ends is None:
        return ONE
    return ALIKE if ends[1] - ends[0] < 1e-9 else between.join(map(write, ends))


def span(values: Sequence[float]) -> str:
    """Accuracies of repeats: one value, or from the smallest to the largest."""
    low, high = min(values), max(values)
    return percent(low) if low == high else f"{percent(low)} to {percent(high)}"


def points(value: float) -> str:
    """A difference of two shares, in percentage points, with its sign."""
    return f"{100 * value:+.1f}"


def interval_in_points(ends: Sequence[float] | None) -> str:
    """The interval of such a difference."""
    return interval(ends, points, " to ")


def p_value(value: float | None) -> str:
    """A p-value, or why there is none."""
    if value is None:
        return "no spread"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def baseline_grid(baselines: Mapping[str, Any]) -> str:
    """What needs no neural network, with the majority baseline of the same test."""
    return grid(("baseline", "accuracy", "majority"), baseline_rows(baselines))


def linear_blocks(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    """Linear models by their bytes: chosen words, and hashed ones; nothing without any."""
    if not curve:
        return []
    models = list(dict.fromkeys(point["model"] for point in curve))
    by_size = {(point["model"], point["bytes"]): percent(point["value"]) for point in curve}
    rows = [
        [size(count), *(by_size.get((model, count), "-") for model in models)]
        for count in sorted({point["bytes"] for point in curve})
    ]
    names = {"lexicon": "chosen words"}
    heading = f"**Linear models of so many bytes**, of all training texts, n = {curve[0]['n']:,}:"
    return [heading, grid(("bytes", *(names.get(model, model) for model in models)), rows)]


def baseline_rows(baselines: Mapping[str, Any]) -> list[list[str]]:
    """Baselines as rows of name, accuracy and majority baseline."""
    return [
        [f"baseline: {one['name']}", with_interval(one), percent(one["majority_baseline"])]
        for one in baselines.values()
    ]


def test_line(accuracy: Mapping[str, Any], classes: Sequence[str]) -> str:
    """What was tested on: n, examples of each class, majority baseline."""
    balance = class_balance(accuracy["class_counts"], classes)
    baseline = percent(accuracy["majority_baseline"])
    return f"{accuracy['n']:,} test texts: {balance}; majority baseline {baseline}"


def on_task(record: Mapping[str, Any]) -> str:
    """The task's name, for a title; nothing in a record that names none."""
    task = record.get("task")
    return f" on {task}" if task else ""


def models_of(record: Mapping[str, Any]) -> str:
    """The models of a study that may have several, for a title."""
    config = record["config"]
    names = (config.get("models") or config["model"]).split(",")
    return " and ".join(names)


def size(count: float) -> str:
    """Bytes with a unit that suits them."""
    for limit, unit in ((1e6, "MB"), (1e3, "KB")):
        if count >= limit:
            return f"{count / limit:,.1f} {unit}"
    return f"{count:,.0f} B"


def speed(bits: float) -> str:
    """A link speed, bits a second, with a unit that suits it."""
    for limit, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bits >= limit:
            return f"{bits / limit:,.1f} {unit}"
    return f"{bits:,.0f} bit/s"
