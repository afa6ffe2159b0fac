"""figure.png of a rates study, from its record alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.results.figure import save_figure
from fedseed.results.markdown import on_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = {
    "lexicon": ("#17807e", "o", "-", "from a lexicon seed"),
    "random-scaled": ("#b0581e", "s", "--", "from a random seed"),
}

_LOWEST = -3.0
"""Points of gain below which a rate is named at the edge."""


def rates_figure(record: Mapping[str, Any], path: Path) -> None:
    """Accuracy by rate from both starts, and the gain over the lexicon seed."""
    from matplotlib.figure import Figure

    cells = record["results"]["cells"]
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for start in dict.fromkeys(cell["start"] for cell in cells):
        _accuracies(left, [cell for cell in cells if cell["start"] == start], start)
    _gains(right, [cell for cell in cells if cell["start"] == "lexicon"])
    rates = sorted({cell["learning_rate"] for cell in cells})
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("learning rate (log scale)")
    config, first = record["config"], cells[0]["before"]
    quick = ", QUICK RUN" if config["quick"] else ""
    figure.suptitle(
        f"{config['model']}{on_task(record)}: {config['samples']:,} texts, {config['steps']:,} "
        f"steps of {config['batch_size']}, {config['max_length']} tokens, n = {first['n']:,}"
        f"{quick}",
        fontsize=11, parse_math=False,
    )  # fmt: skip
    save_figure(figure, path)


def _accuracies(axes: "Axes", cells: Sequence[Mapping[str, Any]], start: str) -> None:
    colour, marker, line, label = _STYLES[start]
    rates = [cell["learning_rate"] for cell in cells]
    values, low, high = _ends([cell["after"] for cell in cells])
    axes.errorbar(rates, values, [low, high], color=colour, marker=marker, linestyle=line,
                  capsize=3, label=label)  # fmt: skip
    before = 100 * cells[0]["before"]["value"]
    axes.axhline(before, color=colour, linewidth=1, linestyle=":",
                 label=f"that seed, untrained, {before:.1f} %")  # fmt: skip
    axes.set_ylabel("test accuracy (%), mean and 95 % interval")
    axes.legend(fontsize=8)


def _gains(axes: "Axes", cells: Sequence[Mapping[str, Any]]) -> None:
    colour, marker, line, _ = _STYLES["lexicon"]
    rates = [cell["learning_rate"] for cell in cells]
    gains = [{"value": cell["gain"]["difference"], "ci95": cell["gain"]["ci95"]} for cell in cells]
    values, low, high = _ends(gains)
    axes.errorbar(rates, values, [low, high], color=colour, marker=marker, linestyle=line,
                  capsize=3)  # fmt: skip
    for cell in cells:
        dots = [100 * gap for gap in cell["gain"]["repeats"]]
        axes.scatter([cell["learning_rate"]] * len(dots), dots, color="white", edgecolors="black",
                     s=14, zorder=3)  # fmt: skip
    axes.axhline(0, color="black", linewidth=1, linestyle="--")
    bottom, top = axes.get_ylim()
    if bottom < _LOWEST < top:  # a rate that destroys would leave no room for the others
        axes.set_ylim(bottom=_LOWEST)
        for rate, value in zip(rates, values, strict=True):
            if value < _LOWEST:
                axes.annotate(f"{value:.0f}", (rate, _LOWEST), xytext=(0, 4), ha="center",
                              textcoords="offset points", color=colour)  # fmt: skip
    axes.set_ylabel("points gained over the lexicon seed, untrained")
    axes.set_title("Text by text on the same test texts; dots: single repeats", fontsize=10)


def _ends(shares: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float], list[float]]:
    """Values in per cent, and how far their intervals reach below and above."""
    values = [100 * share["value"] for share in shares]
    low = [value - 100 * share["ci95"][0] for value, share in zip(values, shares, strict=True)]
    high = [100 * share["ci95"][1] - value for value, share in zip(values, shares, strict=True)]
    return values, low, high
