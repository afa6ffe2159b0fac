"""figure.png of a budget study, from its record alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.evaluation.costs import DOWNLOADS, cost_analysis, transfer_seconds
from fedseed.results.figure import accuracy_limits, save_figure
from fedseed.results.markdown import on_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_USUAL_LIMITS = (50, 90)
_COLOURS = ("#1f5fa8", "#b0581e", "#2e7d32", "#6a3d9a")


def budget_figure(record: Mapping[str, Any], path: Path) -> None:
    """Heat maps of accuracy by examples and steps, and time against link speed."""
    from matplotlib.figure import Figure

    cells = record["results"]["cells"]
    starts = list(dict.fromkeys(cell["start"] for cell in cells))
    figure = Figure(figsize=(3.6 * len(starts) + 5.0, 4.8), layout="constrained")
    *maps, costs = figure.subplots(1, len(starts) + 1)
    ends = accuracy_limits([cell["after"]["value"] for cell in cells], _USUAL_LIMITS)
    images = [
        _heat(axes, [cell for cell in cells if cell["start"] == start], start, ends)
        for axes, start in zip(maps, starts, strict=True)
    ]
    figure.colorbar(images[0], ax=maps, label="mean test accuracy (%)", shrink=0.85, pad=0.01)
    targets = [one["target"] for one in record["results"]["smallest"][:3]]
    _costs(costs, cost_analysis(cells, targets))
    first = cells[0]["after"]
    quick = ", QUICK RUN" if record["config"]["quick"] else ""
    figure.suptitle(
        f"{record['config']['model']}{on_task(record)}: accuracy by training examples and steps, "
        f"{len(first['repeats'])} repeats, n = {first['n']:,}, majority baseline "
        f"{100 * first['majority_baseline']:.1f} %{quick}",
        fontsize=11, parse_math=False,
    )  # fmt: skip
    save_figure(figure, path)


def _heat(axes: "Axes", cells: list[dict[str, Any]], start: str, ends: tuple[float, float]) -> Any:
    import numpy as np

    steps = list(dict.fromkeys(cell["steps"] for cell in cells))
    sizes = list(dict.fromkeys(cell["samples"] for cell in cells))
    values = np.full((len(sizes), len(steps)), np.nan)
    for cell in cells:
        place = sizes.index(cell["samples"]), steps.index(cell["steps"])
        values[place] = 100 * cell["after"]["value"]
    image = axes.imshow(
        values, cmap="viridis", vmin=ends[0], vmax=ends[1], aspect="auto", origin="lower"
    )
    bright = ends[0] + 0.625 * (ends[1] - ends[0])
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
            color="white" if value < bright else "black",
        )  # fmt: skip
    axes.set_xticks(range(len(steps)), [f"{count:,}" for count in steps], fontsize=8)
    axes.set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes], fontsize=8)
    axes.set_xlabel("optimiser steps")
    axes.set_ylabel("training examples")
    axes.set_title(start, fontsize=10)
    return image


def _costs(axes: "Axes", costs: list[dict[str, Any]]) -> None:
    import numpy as np

    speeds = np.logspace(np.log10(56e3), 9, 60)
    for (name, size), shade in zip(DOWNLOADS.items(), ("0.1", "0.4", "0.65"), strict=True):
        axes.plot(
            speeds, [transfer_seconds(size, s) for s in speeds], color=shade, linestyle="--",
            label=f"download {name}",
        )  # fmt: skip
    reached = [one for one in costs if one["budget"] is not None]
    starts = list(dict.fromkeys(one["start"] for one in reached))
    for one in reached:
        size, training = one["budget"]["bytes"], one["budget"]["seconds"]
        axes.plot(
            speeds, [transfer_seconds(size, s) + training for s in speeds],
            color=_COLOURS[starts.index(one["start"]) % len(_COLOURS)],
            linewidth=1.0 + 1.4 * (one["target"] == reached[-1]["target"]),
            label=f"{one['start']}, fine-tuned to {100 * one['target']:.0f} %",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("link speed (bits a second, log scale)")
    axes.set_ylabel("seconds until the model is there (log scale)")
    axes.set_title("Fine-tuning here against downloading", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
