"""figure.png of the privacy study, from its record alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedseed.results.figure import save_figure
from fedseed.results.markdown import on_task
from fedseed.results.style import RowStyle, row_styles
from fedseed.studies.privacy.budget_table import budgeted
from fedseed.studies.privacy.table import strongest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cells = Sequence[Mapping[str, Any]]
Styles = Mapping[str, RowStyle]
"""By row."""
_TITLES = {
    "server": "Membership inference by the server",
    "newcomer": "Membership inference by an end user",
}


def privacy_figure(record: Mapping[str, Any], path: Path) -> None:
    """ROC of membership for two observers, planted canaries, and accuracy against epsilon."""
    from matplotlib.figure import Figure

    results, config = record["results"], record["config"]
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    panels = figure.subplots(2, 2)
    cells = results["cells"]
    styles = row_styles(record)
    for axes, (observer, title) in zip(panels[0], _TITLES.items(), strict=True):
        here = [c for c in cells if c["observer"] == observer and c["setting"] is None]
        _draw_rocs(axes, here, styles)
        axes.set_title(title)
    _draw_canaries(panels[1][0], [c for c in cells if "exposure_bits" in c], styles)
    _draw_curves(panels[1][1], [c for c in budgeted(cells) if c["accuracy"]], styles)
    quick = ", QUICK RUN" if config["quick"] else ""
    figure.suptitle(
        f"What each protocol gives away{on_task(record)}: {config['model']}, "
        f"{config['clients']} clients with {config['shard']} texts, {config['repeats']} "
        f"runs{quick}",
        parse_math=False,
    )  # fmt: skip
    save_figure(figure, path)


def _draw_rocs(axes: "Axes", cells: Cells, styles: Styles) -> None:
    """True against false positive rates, both logarithmic."""
    for cell in strongest(cells):
        style = styles[cell["row"]]
        attack = cell["attack"].rpartition(" ")[2]
        label = f"{cell['row']}, AUC {cell['auc']['value']:.2f} ({attack})"
        roc = cell["roc"]
        axes.plot(roc["fpr"], roc["tpr"], style.line, color=style.colour, label=label)
    axes.plot([1e-4, 1], [1e-4, 1], ":", color="grey", label="guessing")
    axes.set(xscale="log", yscale="log", xlim=(1e-3, 1), ylim=(1e-3, 1.05))
    axes.set_xlabel("false positive rate (log)")
    axes.set_ylabel("true positive rate (log)")
    axes.legend(fontsize=9, loc="lower right")
    axes.grid(alpha=0.3)


def _draw_canaries(axes: "Axes", cells: Cells, styles: Styles) -> None:
    """Exposure by how often a canary was trained on; filled for the server, hollow at the end."""
    for row in dict.fromkeys(cell["row"] for cell in cells):
        for observer, filled in (("server", True), ("newcomer", False)):
            place = observer, row
            here = [c for c in cells if (c["observer"], c["row"]) == place]
            if here:
                _draw_exposure(axes, row, here, styles[row], filled)
    if cells:
        axes.axhline(cells[0]["most_bits"], color="grey", ls=":", label="most that can be shown")
        axes.axhline(1.44, color="black", ls=":", label="a canary never trained on")
        axes.set_xscale("log", base=2)
        times = sorted({cell["repeated"] for cell in cells})
        axes.set_xticks(times, [str(count) for count in times])
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    axes.set(title="Planted canaries", xlabel="times that the canary stood in a client's texts",
             ylabel="exposure (bits)")  # fmt: skip
    axes.grid(alpha=0.3)


def _draw_exposure(
    axes: "Axes", row: str, cells: Cells, style: RowStyle, filled: bool
) -> None:  # fmt: skip
    values = [cell["exposure_bits"]["value"] for cell in cells]
    ends = [cell["exposure_bits"]["ci95"] or (value, value) for cell, value in zip(cells, values)]
    axes.errorbar(
        [cell["repeated"] for cell in cells], values,
        np.abs(np.array(ends) - np.array(values)[:, None]).T,
        color=style.colour, marker=style.marker, mfc=style.colour if filled else "white",
        ls="-" if filled else "--", capsize=3,
        label=f"{row}, {'client to server' if filled else 'final result'}",
    )  # fmt: skip


def _draw_curves(axes: "Axes", cells: Cells, styles: Styles) -> None:
    """Accuracy against the budget; without one at the right."""
    budgets = sorted({_asked(cell) for cell in cells})
    places = {value: place for place, value in enumerate(budgets)}
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        lines.setdefault(_line_name(cell), []).append(cell)
    for name, points in lines.items():
        points = sorted(points, key=lambda c: places[_asked(c)])
        accuracies = [point["accuracy"] for point in points]
        style = styles[points[0]["row"]]
        axes.errorbar(
            [places[_asked(point)] for point in points],
            [100 * accuracy["value"] for accuracy in accuracies],
            [[100 * (accuracy["value"] - accuracy["ci95"][0]) for accuracy in accuracies],
             [100 * (accuracy["ci95"][1] - accuracy["value"]) for accuracy in accuracies]],
            color=style.colour, marker=style.marker, capsize=3, label=name,
            ls="-" if points[0]["secure_aggregation"] else "--",
            mfc=style.colour if points[0]["unit"] == "example" else "white",
        )  # fmt: skip
    if cells:
        chance = 100 * cells[0]["accuracy"]["majority_baseline"]
        axes.axhline(chance, color="black", ls=":", label="majority class")
        names = [f"{value:g}" if math.isfinite(value) else "no privacy" for value in budgets]
        axes.set_xticks(range(len(names)), names)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    axes.set(title="What a defence costs", xlabel="epsilon of a whole run, for each client",
             ylabel="test accuracy (%)")  # fmt: skip
    axes.grid(alpha=0.3)


def _asked(cell: Mapping[str, Any]) -> float:
    """The budget that was asked for, infinity without one; what is spent is a little less."""
    word = cell["setting"].removeprefix("epsilon ")
    return math.inf if cell["epsilon_claimed"] is None else float(word)


def _line_name(cell: Mapping[str, Any]) -> str:
    summed = ", summed unseen" if cell["secure_aggregation"] else ""
    return f"{cell['row']}, one {cell['unit']} of {cell['clients']} clients{summed}"
