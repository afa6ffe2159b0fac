"""figure.png of a comparison, from its record alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.evaluation.frontier import TARGETS, Point, points, quickest
from fedseed.results.figure import save_figure
from fedseed.studies.comparison.table import client_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cells = Sequence[Mapping[str, Any]]
Styles = Mapping[str, tuple[str, str, str]]
KINDS = {
    "recipe": ("#6a3d9a", "s"), "labels": ("#2e7d32", "o"), "scalars": ("#8c564b", "v"),
    "mask": ("#b8860b", "D"), "adapters": ("#c2185b", "^"), "weights": ("#1f5fa8", "P"),
}  # fmt: skip
"""Colour and marker by protocol."""
_SHADES = ("-", "--", ":", "-.")
_SPEEDS = (56e3, 1e9)


def comparison_figure(record: Mapping[str, Any], path: Path) -> None:
    """Accuracy against bytes for every partition; below, time to two targets by link speed."""
    from matplotlib.figure import Figure

    results, config = record["results"], record["config"]
    plain = [cell for cell in results["cells"] if cell["condition"] is None]
    partitions = list(dict.fromkeys(cell["partition"] for cell in plain))
    first = [cell for cell in plain if cell["partition"] == partitions[0]]
    columns = max(3, len(partitions))
    figure = Figure(figsize=(5.0 * columns, 9.6), layout="constrained")
    upper, lower = figure.subplots(2, columns)
    styles = _styles(plain)
    for own, partition in zip(upper, partitions, strict=False):
        here = [cell for cell in plain if cell["partition"] == partition]
        bounds = {c["protocol"]: c for c in [*first, *here] if not c["rounds"]}
        _front(own, here, bounds, results["floors"], styles)
        own.set_title(partition, fontsize=11)
    _share_bytes_axis(upper[: len(partitions)], plain)
    upper[0].set_ylabel("test accuracy (%)")
    for own, target in zip(lower, TARGETS[:2], strict=False):
        _times(own, points(first), target, styles)
        own.set_title(f"Time to {100 * target:.0f} %, {partitions[0]}", fontsize=11)
    lower[0].set_ylabel("seconds: transfer and one client's computing (log)")
    drawn = [*upper[: len(partitions)], *lower[:2]]
    _legend(lower[-1], drawn)
    for own in (*upper[len(partitions) :], *lower[2:]):
        own.axis("off")
    widest = max((cell["accuracy"] for cell in first), key=lambda found: found["n"])
    quick = ", QUICK RUN" if config["quick"] else ""
    figure.suptitle(
        f"What to send: {config['model']}, {config['clients']} clients, {config['repeats']} "
        f"repeat(s), n = {widest['n']:,}, bars: 95 % intervals over test texts and repeats{quick}",
        fontsize=12,
    )
    save_figure(figure, path)


def _legend(place: "Axes", drawn: Sequence["Axes"]) -> None:
    """One legend for all panels, in a place of its own."""
    handles: dict[str, Any] = {}
    for own in drawn:
        for handle, label in zip(*own.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    place.legend(list(handles.values()), list(handles), loc="center", ncols=2, fontsize=10)


def _share_bytes_axis(panels: Sequence["Axes"], cells: Cells) -> None:
    """The same range of bytes in all panels."""
    sizes = [point.payload_bytes for point in points([c for c in cells if c["rounds"]])]
    if sizes:
        for axes in panels:
            axes.set_xlim(min(sizes) / 2, max(sizes) * 2)


def _styles(cells: Cells) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and line of every row; rows of one protocol differ by their line."""
    kinds = {cell["protocol"]: cell["kind"] for cell in cells if cell["rounds"]}
    found = {}
    for row, kind in kinds.items():
        alike = [other for other, own in kinds.items() if own == kind]
        found[row] = (*KINDS[kind], _SHADES[alike.index(row) % len(_SHADES)])
    return found


def _front(
    axes: "Axes",
    cells: Cells,
    bounds: Mapping[str, Any],
    floors: Mapping[str, Any],
    styles: Styles,
) -> None:
    sent = [cell for cell in cells if cell["rounds"]]
    for cell in sent:
        colour, marker, line = styles[cell["protocol"]]
        own = points([cell])
        axes.plot(
            [p.payload_bytes for p in own], [100 * p.accuracy for p in own], color=colour,
            linestyle=line, marker=marker, markersize=4, linewidth=1.1, label=cell["protocol"],
        )  # fmt: skip
        found = cell["accuracy"]
        value, (low, high) = 100 * found["value"], (100 * end for end in found["ci95"])
        axes.errorbar(
            sum(client_bytes(cell)), value, [[value - low], [high - value]], color=colour,
            capsize=3, linewidth=1,
        )  # fmt: skip
    best = sorted((sum(client_bytes(c)), 100 * c["accuracy"]["value"]) for c in sent if c["pareto"])
    if best:
        sizes, values = zip(*best, strict=True)
        axes.scatter(
            sizes, values, s=130, facecolors="none", edgecolors="black", zorder=4,
            label="Pareto front",
        )  # fmt: skip
    for name, colour, style in (("central", "black", "-"), ("local", "grey", "-")):
        if name in bounds:
            value = 100 * bounds[name]["accuracy"]["value"]
            axes.axhline(value, color=colour, linestyle=style, linewidth=1, label=f"bound: {name}")
    if "tfidf_full" in floors:
        axes.axhline(
            100 * floors["tfidf_full"]["value"], color="#777700", linestyle="--", linewidth=1,
            label="floor: TF-IDF + LR, whole texts",
        )  # fmt: skip
    axes.axhline(
        100 * floors["majority"]["majority_baseline"],
        color="grey",
        linestyle=":",
        linewidth=1,
        label="floor: majority",
    )
    axes.set_xscale("log")
    axes.set_xlabel("payload bytes of one client, down and up (log scale)")
    axes.set_ylim(45, 92)
    axes.grid(alpha=0.3)


def _times(axes: "Axes", found: Sequence[Point], target: float, styles: Styles) -> None:
    """Seconds until a client has a model of a target accuracy, by link speed."""
    import numpy as np

    speeds = np.geomspace(*_SPEEDS, 60)
    drawn = False
    for row in dict.fromkeys(p.row for p in found):
        best = [quickest(found, row, target, float(bits)) for bits in speeds]
        times = [p.time(float(bits)) for p, bits in zip(best, speeds, strict=True) if p]
        if times:
            colour, _, line = styles[row]
            axes.plot(speeds, times, color=colour, linestyle=line)
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
    axes.minorticks_off()
    axes.set_xlabel("link speed (log scale)")
    axes.grid(alpha=0.3)
