"""figure.png of a comparison, from its record alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.evaluation.frontier import (
    TIMED,
    Point,
    client_bytes,
    envelope,
    families,
    points,
    quickest,
    series_of,
)
from fedseed.results.figure import accuracy_limits, draw_linear, save_figure
from fedseed.results.markdown import models_of, on_task
from fedseed.results.style import RowStyle, row_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cells = Sequence[Mapping[str, Any]]
Styles = Mapping[str, RowStyle]
"""By row."""
_SPEEDS = (56e3, 1e9)
_USUAL_LIMITS = (45, 92)
_FRONTS = ("#5b8db8", "#c9a227", "#7d5ba6", "#6a9f58")
"""Colours of the fronts, by model and start."""


def comparison_figure(record: Mapping[str, Any], path: Path) -> None:
    """Accuracy against bytes for every partition; below, time to two targets by link speed."""
    from matplotlib.figure import Figure

    results = record["results"]
    undisturbed = [cell for cell in results["cells"] if cell["condition"] is None]
    partitions = list(dict.fromkeys(cell["partition"] for cell in undisturbed))
    first = [cell for cell in undisturbed if cell["partition"] == partitions[0]]
    columns = max(3, len(partitions))
    figure = Figure(figsize=(5.0 * columns, 9.6), layout="constrained")
    upper, lower = _panels(figure, len(partitions), columns)
    styles = row_styles(record)
    for axes, partition in zip(upper, partitions, strict=False):
        here = [cell for cell in undisturbed if cell["partition"] == partition]
        bounds = {series_of(c): c for c in [*first, *here] if not c["rounds"]}
        _front(axes, here, bounds, results["baselines"], styles)
        draw_linear(axes, results.get("linear", []))
        axes.set_title(partition, fontsize=11)
    _share_bytes_axis(upper[: len(partitions)], undisturbed)
    upper[0].set_ylabel("test accuracy (%)")
    reached = [t for t in TIMED if any(p.accuracy >= t for p in points(first))]
    targets = reached[-2:] or TIMED[:1]
    for axes, target in zip(lower, targets, strict=False):
        _times(axes, points(first), target, styles)
        axes.set_title(f"Time to {100 * target:.0f} %, {partitions[0]}", fontsize=11)
    lower[0].set_ylabel("seconds: transfer and one client's computing (log)")
    drawn = [*upper[: len(partitions)], *lower[: len(targets)]]
    _legend(lower[-1], drawn)
    for axes in (*upper[len(partitions) :], *lower[len(targets) :]):
        axes.axis("off")
    figure.suptitle(_title(record, first), fontsize=12, parse_math=False)
    save_figure(figure, path)


def _panels(figure: "Figure", partitions: int, columns: int) -> tuple[list["Axes"], list["Axes"]]:
    """Two rows of panels; a single partition has the whole width."""
    places = figure.add_gridspec(2, columns)
    lower = [figure.add_subplot(places[1, column]) for column in range(columns)]
    if partitions == 1:
        return [figure.add_subplot(places[0, :])], lower
    return [figure.add_subplot(places[0, column]) for column in range(columns)], lower


def _title(record: Mapping[str, Any], cells: Cells) -> str:
    config = record["config"]
    n = max(cell["accuracy"]["n"] for cell in cells)
    quick = ", QUICK RUN" if config["quick"] else ""
    return (
        f"What to send{on_task(record)}: {models_of(record)}, {config['clients']} clients, "
        f"{config['repeats']} repeat(s), n = {n:,}, bars: 95 % intervals over test texts and "
        f"repeats{quick}"
    )


def _legend(place: "Axes", drawn: Sequence["Axes"]) -> None:
    """One legend for all panels, in a place of its own."""
    handles: dict[str, Any] = {}
    for axes in drawn:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    place.legend(list(handles.values()), list(handles), loc="center", ncols=2, fontsize=9)


def _share_bytes_axis(panels: Sequence["Axes"], cells: Cells) -> None:
    """The same range of bytes in all panels."""
    sent = [c for c in cells if c["rounds"]]
    sizes = [p.payload_bytes for p in (*points(sent), *points(sent, with_bodies=True))]
    if sizes:
        for axes in panels:
            axes.set_xlim(min(sizes) / 2, max(sizes) * 2)


def _front(
    axes: "Axes",
    cells: Cells,
    bounds: Mapping[str, Any],
    baselines: Mapping[str, Any],
    styles: Styles,
) -> None:
    sent = [cell for cell in cells if cell["rounds"]]
    for cell in sent:
        _draw_rounds(axes, cell, styles[series_of(cell)])
    _draw_fronts(axes, sent)
    for name, bound in bounds.items():
        colour = "black" if bound["row"] == "central" else "grey"
        line = (0, (1, 0)) if bound.get("body_bytes", 0) == 0 else (0, (8, 2))
        value = 100 * bound["accuracy"]["value"]
        axes.axhline(value, color=colour, linestyle=line, linewidth=1, label=f"bound: {name}")
    _draw_baselines(axes, baselines)
    shown = [*cells, *bounds.values()]
    axes.set_xscale("log")
    axes.set_xlabel("payload bytes of one client, down and up (log scale)")
    axes.set_ylim(accuracy_limits(_shares(shown, baselines), _USUAL_LIMITS))
    axes.grid(alpha=0.3)


def _draw_fronts(axes: "Axes", cells: Cells) -> None:
    """The best for so many bytes: with each model and start, and with its body's download."""
    for number, (family, members) in enumerate(families(cells).items()):
        colour = _FRONTS[number % len(_FRONTS)]
        best = envelope(points(members))
        _draw_front(axes, best, colour, "-", f"front: {family}")
        if members[0].get("body_bytes"):
            best = envelope(points(members, with_bodies=True))
            _draw_front(axes, best, colour, ":", f"front: {family}, downloaded too")


def _draw_front(axes: "Axes", best: Sequence[Point], colour: str, line: str, label: str) -> None:
    axes.step(
        [point.payload_bytes for point in best], [100 * point.accuracy for point in best],
        where="post", color=colour, linestyle=line, linewidth=7 if line == "-" else 2.5,
        alpha=0.3 if line == "-" else 0.8, zorder=1, label=label,
    )  # fmt: skip


def _shares(cells: Cells, baselines: Mapping[str, Any]) -> list[float]:
    """All accuracies that are drawn."""
    accuracies = [cell["accuracy"] for cell in cells]
    rounds = [one["accuracy"] for cell in cells for one in cell["rounds"] if one["accuracy"]]
    lines = [baselines[name]["value"] for name in ("tfidf_full",) if name in baselines]
    return [
        *lines, baselines["majority"]["majority_baseline"], *(one["value"] for one in rounds),
        *(end for one in accuracies for end in one["ci95"]),
    ]  # fmt: skip


def _draw_rounds(axes: "Axes", cell: Mapping[str, Any], style: RowStyle) -> None:
    """A row's accuracy after every round, with an interval at the end."""
    after_rounds = points([cell])
    axes.plot(
        [p.payload_bytes for p in after_rounds], [100 * p.accuracy for p in after_rounds],
        color=style.colour, linestyle=style.line, marker=style.marker, markersize=4, linewidth=1.1,
        label=series_of(cell),
    )  # fmt: skip
    accuracy = cell["accuracy"]
    value, (low, high) = 100 * accuracy["value"], (100 * end for end in accuracy["ci95"])
    axes.errorbar(
        sum(client_bytes(cell)), value, [[value - low], [high - value]], color=style.colour,
        capsize=3, linewidth=1,
    )  # fmt: skip


def _draw_baselines(axes: "Axes", baselines: Mapping[str, Any]) -> None:
    if "tfidf_full" in baselines:
        axes.axhline(
            100 * baselines["tfidf_full"]["value"], color="#777700", linestyle="--", linewidth=1,
            label="baseline: TF-IDF + LR, whole texts",
        )  # fmt: skip
    axes.axhline(
        100 * baselines["majority"]["majority_baseline"],
        color="grey",
        linestyle=":",
        linewidth=1,
        label="baseline: majority",
    )


def _times(axes: "Axes", reached: Sequence[Point], target: float, styles: Styles) -> None:
    """Seconds until a client has a model of a target accuracy, by link speed."""
    import numpy as np
    from matplotlib.ticker import NullLocator

    speeds = np.geomspace(*_SPEEDS, 60)
    drawn = False
    for row in dict.fromkeys(p.row for p in reached):
        best = [quickest(reached, row, target, float(bits)) for bits in speeds]
        times = [p.time(float(bits)) for p, bits in zip(best, speeds, strict=True) if p]
        if times:
            axes.plot(
                speeds, times, color=styles[row].colour, linestyle=styles[row].line,
                marker=styles[row].marker, markevery=12, markersize=4,
            )  # fmt: skip
            drawn = True
    if not drawn:
        axes.text(0.5, 0.5, "no row reaches it", transform=axes.transAxes, ha="center")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*_SPEEDS)
    axes.set_xticks(
        [56e3, 1e6, 1e7, 1e8, 1e9],
        ["56 kbit/s", "1 Mbit/s", "10 Mbit/s", "100 Mbit/s", "1 Gbit/s"],
        fontsize=8,
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("link speed (log scale)")
    axes.grid(alpha=0.3)
