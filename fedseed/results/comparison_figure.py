"""figure.png of a comparison, from its record alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.evaluation.frontier import Point, points, quickest
from fedseed.results.comparison_table import client_bytes
from fedseed.results.figure import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cells = Sequence[Mapping[str, Any]]
_KINDS = {
    "recipe": ("#6a3d9a", "s"), "labels": ("#2e7d32", "o"), "scalars": ("#8c564b", "v"),
    "mask": ("#b8860b", "D"), "adapters": ("#c2185b", "^"), "weights": ("#1f5fa8", "P"),
}  # fmt: skip
"""Colour and marker by protocol."""
_SHADES = ("-", "--", ":", "-.")
_SPEEDS = (56e3, 1e9)


def comparison_figure(record: Mapping[str, Any], path: Path) -> None:
    """Accuracy against bytes for every partition, and time to a target against link speed."""
    from matplotlib.figure import Figure

    results, config = record["results"], record["config"]
    plain = [cell for cell in results["cells"] if cell["condition"] is None]
    partitions = list(dict.fromkeys(cell["partition"] for cell in plain))
    first = [cell for cell in plain if cell["partition"] == partitions[0]]
    columns = len(partitions) + 1
    figure = Figure(figsize=(5.2 * columns, 5.6), layout="constrained")
    axes = figure.subplots(1, columns)
    for own, partition in zip(axes[:-1], partitions, strict=True):
        here = [cell for cell in plain if cell["partition"] == partition]
        bounds = {c["protocol"]: c for c in [*first, *here] if not c["rounds"]}
        _front(own, here, bounds, results["floors"])
        own.set_title(partition, fontsize=11)
    axes[0].set_ylabel("test accuracy (%)")
    _times(axes[-1], points(first), partitions[0])
    handles: dict[str, Any] = {}
    for own in axes:
        for handle, label in zip(*own.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=7, fontsize=8
    )
    widest = max((cell["accuracy"] for cell in first), key=lambda found: found["n"])
    quick = ", QUICK RUN" if config["quick"] else ""
    figure.suptitle(
        f"What to send: {config['model']}, {config['clients']} clients, {config['repeats']} "
        f"repeat(s), n = {widest['n']:,}{quick}",
        fontsize=12,
    )
    save_figure(figure, path)


def _style(cell: Mapping[str, Any], cells: Cells) -> tuple[str, str, str]:
    """Colour, marker and line of a row; rows of one protocol differ by their line."""
    colour, marker = _KINDS[cell["kind"]]
    alike = [other["protocol"] for other in cells if other["kind"] == cell["kind"]]
    return colour, marker, _SHADES[alike.index(cell["protocol"]) % len(_SHADES)]


def _front(
    axes: "Axes", cells: Cells, bounds: Mapping[str, Any], floors: Mapping[str, Any]
) -> None:
    sent = [cell for cell in cells if cell["rounds"]]
    for cell in sent:
        colour, marker, line = _style(cell, sent)
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


def _times(axes: "Axes", found: Sequence[Point], partition: str) -> None:
    """Seconds until a client has a model of a target accuracy, by link speed."""
    import numpy as np

    speeds = np.geomspace(*_SPEEDS, 60)
    target = 0.80 if len({p.row for p in found if p.accuracy >= 0.80}) > 1 else 0.75
    cells = [
        {"protocol": row, "kind": row.partition("-")[0]}
        for row in dict.fromkeys(p.row for p in found)
    ]
    drawn = False
    for cell in cells:
        best = [quickest(found, cell["protocol"], target, float(bits)) for bits in speeds]
        times = [p.time(float(bits)) for p, bits in zip(best, speeds, strict=True) if p]
        if times:
            colour, _, line = _style(cell, cells)
            axes.plot(speeds, times, color=colour, linestyle=line, label=cell["protocol"])
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
    axes.set_ylabel("seconds of transfer and one client's computing (log scale)")
    axes.set_title(f"Time to {100 * target:.0f} %, {partition}", fontsize=11)
    axes.grid(alpha=0.3)
