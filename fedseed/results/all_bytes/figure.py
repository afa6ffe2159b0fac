"""figure.png of all bytes, from its record alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.results.all_bytes.labels import place
from fedseed.results.figure import draw_linear, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Sequence[Mapping[str, Any]]
_FAMILIES = {
    "lexicon": ("#17807e", "o", "-", "seed: lexicon, 0 steps"),
    "pca": ("#a6611a", "v", "--", "seed: principal components, 0 steps"),
    "other": ("#555555", "x", "", "seed: random, moments, 0 steps"),
}


def bytes_figure(record: Mapping[str, Any], path: Path) -> None:
    """Accuracy against bytes, of everything that the records have."""
    from matplotlib.figure import Figure

    results = record["results"]
    points = results["points"]
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots()
    longest = max((one["max_length"] for one in results["linear"]), default=0)
    draw_linear(axes, [one for one in results["linear"] if one["max_length"] == longest])
    seeds = [one for one in points if one["what"] == "seed"]
    for family in _FAMILIES:
        _seeds(axes, [one for one in seeds if one["family"] == family and one["bytes"]], family)
    _protocols(axes, [one for one in points if one["what"] == "protocol"])
    _lines(axes, points, results["baselines"])
    axes.set_xscale("log")
    axes.set_ylim(top=95)
    _name(axes, points)
    axes.set_xlabel("bytes (log scale): of a seed; of one client's payloads, down and up")
    axes.set_ylabel("test accuracy (%), 95 % interval")
    axes.grid(alpha=0.25)
    axes.set_xticks([10.0**power for power in range(2, 8)],
                    ["100 B", "1 KB", "10 KB", "100 KB", "1 MB", "10 MB"])  # fmt: skip
    figure.legend(fontsize=9, loc="outside lower center", ncols=3)
    n = max(one["accuracy"]["n"] for one in points)
    quick = ", QUICK RUN" if record["config"]["quick"] else ""
    axes.set_title(
        f"Accuracy for bytes: seeds before any training, and protocols, n = {n:,}{quick}",
        fontsize=11,
    )
    save_figure(figure, path)


def _seeds(axes: "Axes", points: Points, family: str) -> None:
    """Seeds of one family, joined from size to size."""
    colour, marker, line, label = _FAMILIES[family]
    for length in sorted({one["max_length"] for one in points}):
        own = sorted(
            (one for one in points if one["max_length"] == length and "budget" not in one["row"]),
            key=lambda one: float(one["bytes"]),
        )
        values = [100 * one["accuracy"]["value"] for one in own]
        axes.errorbar(
            [one["bytes"] for one in own], values, _reach(own), color=colour, marker=marker,
            linestyle=line, capsize=2, elinewidth=0.8, label=f"{label}, {length} tokens",
        )  # fmt: skip


_PAGE = 810.0, 375.0
"""Of the axes, in points; names are placed by it."""


def _protocols(axes: "Axes", points: Points) -> None:
    """Protocols; those of a published model are hollow."""
    lengths = sorted({one["max_length"] for one in points})
    named: set[bool] = set()
    for one in points:
        published = "body_bytes" in one
        whose = "protocol, published model" if published else "protocol"
        label = f"{whose}, {' and '.join(map(str, lengths))} tokens"
        axes.errorbar(
            one["bytes"], 100 * one["accuracy"]["value"], _reach([one]), color=one["colour"],
            marker=one["marker"], markersize=9, markeredgewidth=1.4,
            markeredgecolor=one["colour"] if published else "black",
            markerfacecolor="white" if published else one["colour"],
            linestyle="", capsize=2, elinewidth=0.8, label=None if published in named else label,
        )  # fmt: skip
        named.add(published)


def _name(axes: "Axes", points: Points) -> None:
    """Write each protocol's name beside its point, once all points are there."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()

    def on_page(one: Mapping[str, Any]) -> tuple[float, float]:
        x = math.log(one["bytes"] / low) / math.log(high / low)
        return x * _PAGE[0], (100 * one["accuracy"]["value"] - bottom) / (top - bottom) * _PAGE[1]

    drawn = sorted((one for one in points if one["bytes"]), key=lambda one: float(one["bytes"]))
    protocols = [one for one in drawn if one["what"] == "protocol"]
    several = len({one["max_length"] for one in protocols}) > 1
    names = [one["row"] + (f", {one['max_length']}" if several else "") for one in protocols]
    others = [on_page(one) for one in drawn if one["what"] != "protocol"]
    offsets = place(names, [on_page(one) for one in protocols], others, _PAGE)
    for name, one, offset in zip(names, protocols, offsets, strict=True):
        axes.annotate(
            name, (one["bytes"], 100 * one["accuracy"]["value"]), xytext=offset,
            textcoords="offset points", ha="center", va="center", fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "linewidth": 0.8, "color": "#777777"},
        )  # fmt: skip


def _reach(points: Points) -> list[list[float]]:
    """How far intervals reach below and above."""
    shares = [one["accuracy"] for one in points]
    below = [100 * (share["value"] - share["ci95"][0]) for share in shares]
    above = [100 * (share["ci95"][1] - share["value"]) for share in shares]
    return [below, above]


def _lines(axes: "Axes", points: Points, baselines: Mapping[str, Any]) -> None:
    """The original, TF-IDF and the majority class: whatever their bytes."""
    weights = next((one["model_bytes"] for one in points if "model_bytes" in one), None)
    for one in [point for point in points if point["family"] == "original"]:
        value = 100 * one["accuracy"]["value"]
        if weights:
            axes.errorbar(weights, value, _reach([one]), color="black", marker="D", capsize=2,
                          linestyle="", label="the original's weights, fp32")  # fmt: skip
        axes.axhline(value, color="black", linewidth=0.9, linestyle="-.",
                     label=f"original, {one['max_length']} tokens, {value:.1f} %")  # fmt: skip
    value = 100 * baselines["tfidf_full"]["value"]
    axes.axhline(value, color="#777700", linewidth=0.9, linestyle="--",
                 label=f"TF-IDF + logistic regression, {value:.1f} %")  # fmt: skip
    value = 100 * baselines["majority"]["majority_baseline"]
    axes.axhline(value, color="grey", linewidth=0.9, linestyle=":",
                 label=f"majority class, {value:.1f} %")  # fmt: skip
