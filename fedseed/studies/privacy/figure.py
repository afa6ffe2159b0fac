"""figure.png of the privacy study, from its record alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedseed.results.figure import save_figure
from fedseed.studies.privacy.table import strongest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cells = Sequence[Mapping[str, Any]]
Protocols = Mapping[str, Mapping[str, Any]]
"""Descriptions by a protocol's name."""
_TITLES = {
    "server": "The server finds members", "newcomer": "An end user finds members",
}  # fmt: skip


def privacy_figure(record: Mapping[str, Any], path: Path) -> None:
    """ROC of membership for two observers, planted secrets, and accuracy against epsilon."""
    from matplotlib.figure import Figure

    results, config = record["results"], record["config"]
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    panels = figure.subplots(2, 2)
    cells = results["cells"]
    for axes, (observer, title) in zip(panels[0], _TITLES.items(), strict=True):
        here = [c for c in cells if c["observer"] == observer and c["setting"] is None]
        _rocs(axes, here, record["protocols"])
        axes.set_title(title)
    _secrets(panels[1][0], [c for c in cells if "exposure_bits" in c], record["protocols"])
    _curves(panels[1][1], results["defences"], record["protocols"])
    quick = ", QUICK RUN" if config["quick"] else ""
    figure.suptitle(
        f"What each protocol gives away: {config['model']}, {config['clients']} clients with "
        f"{config['shard']} texts, {config['repeats']} runs{quick}",
    )
    save_figure(figure, path)


def _rocs(axes: "Axes", cells: Cells, protocols: Protocols) -> None:
    """True against false positive rates, both logarithmic."""
    for cell in strongest(cells):
        colour = protocols[cell["protocol"]]["colour"]
        attack = cell["attack"].rpartition(" ")[2]
        label = f"{cell['row']}, AUC {cell['auc']['value']:.2f} ({attack})"
        line = "--" if "int8" in cell["row"] else "-"
        axes.plot(cell["roc"]["fpr"], cell["roc"]["tpr"], line, color=colour, label=label)
    axes.plot([1e-4, 1], [1e-4, 1], ":", color="grey", label="guessing")
    axes.set(xscale="log", yscale="log", xlim=(1e-3, 1), ylim=(1e-3, 1.05))
    axes.set_xlabel("false positive rate (log)")
    axes.set_ylabel("true positive rate (log)")
    axes.legend(fontsize=9, loc="lower right")
    axes.grid(alpha=0.3)


def _secrets(axes: "Axes", cells: Cells, protocols: Protocols) -> None:
    """Exposure by how often a secret was trained on; filled for the server, hollow at the end."""
    for observer, filled in (("server", True), ("newcomer", False)):
        for row in dict.fromkeys(c["row"] for c in cells):
            here = [c for c in cells if (c["observer"], c["row"]) == (observer, row)]
            if not here:
                continue
            style = protocols[here[0]["protocol"]]
            colour, marker = style["colour"], style["marker"]
            values = [c["exposure_bits"]["value"] for c in here]
            ends = [c["exposure_bits"]["ci95"] or (v, v) for c, v in zip(here, values, strict=True)]
            errors = np.abs(np.array(ends) - np.array(values)[:, None]).T
            axes.errorbar(
                [c["repeated"] for c in here], values, errors, color=colour, marker=marker,
                mfc=colour if filled else "white", ls="-" if filled else "--", capsize=3,
                label=f"{row}, {'client to server' if filled else 'final result'}",
            )  # fmt: skip
    if cells:
        axes.axhline(cells[0]["most_bits"], color="grey", ls=":", label="most that can be shown")
        axes.axhline(1.44, color="black", ls=":", label="a secret never trained on")
        axes.set_xscale("log", base=2)
        times = sorted({c["repeated"] for c in cells})
        axes.set_xticks(times, [str(one) for one in times])
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    axes.set(title="Planted secrets", xlabel="times that the secret stood in a client's texts",
             ylabel="exposure (bits)")  # fmt: skip
    axes.grid(alpha=0.3)


def _curves(axes: "Axes", curves: Cells, protocols: Protocols) -> None:
    """Accuracy against the budget; without one at the right."""
    budgets = sorted({c["epsilon"] for c in curves if c["epsilon"] is not None})
    places: dict[float | None, int] = {value: place for place, value in enumerate(budgets)}
    places[None] = len(budgets)
    for row in dict.fromkeys(c["row"] for c in curves):
        of_row = sorted((c for c in curves if c["row"] == row), key=lambda c: places[c["epsilon"]])
        style = protocols[of_row[0]["protocol"]]
        values = [100 * c["accuracy"]["value"] for c in of_row]
        low = [100 * (c["accuracy"]["value"] - c["accuracy"]["ci95"][0]) for c in of_row]
        high = [100 * (c["accuracy"]["ci95"][1] - c["accuracy"]["value"]) for c in of_row]
        axes.errorbar(
            [places[c["epsilon"]] for c in of_row], values, [low, high], color=style["colour"],
            marker=style["marker"],
            capsize=3, label=f"{row} (one {of_row[0]['protects']})",
        )  # fmt: skip
    if curves:
        chance = 100 * curves[0]["accuracy"]["majority_baseline"]
        axes.axhline(chance, color="black", ls=":", label="majority class")
        names = [f"{value:g}" for value in budgets]
        axes.set_xticks(range(len(names) + 1), [*names, "no privacy"])
        axes.legend(fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 0.1))
    axes.set(title="What a defence costs", xlabel="epsilon of a whole run, for each client",
             ylabel="test accuracy (%)")  # fmt: skip
    axes.grid(alpha=0.3)
