"""figure.png of the privacy study, from its record alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
_DASHES = ("-", "--", "-.", ":")
_TITLES = {
    "server": "Membership inference by the server",
    "newcomer": "Membership inference by an end user",
}


def privacy_figure(record: Mapping[str, Any], path: Path) -> None:
    """ROC of membership for two observers, planted canaries, and accuracy against epsilon."""
    from matplotlib.figure import Figure

    results, config = record["results"], record["config"]
    figure = Figure(figsize=(17, 10), layout="constrained")
    panels = figure.subplots(2, 2)
    cells = results["cells"]
    styles = row_styles(record)
    for axes, (observer, title) in zip(panels[0], _TITLES.items(), strict=True):
        here = [c for c in cells if c["observer"] == observer and c["setting"] is None]
        shadowed = [c for c in cells if c["observer"] == observer and "per_record" in c]
        if not here and shadowed:
            title = f"One client against {shadowed[0]['shadow_runs']} shadow runs"
        _draw_rocs(axes, here or shadowed, styles)
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
    axes.set_visible(bool(cells))
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
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    axes.grid(alpha=0.3)


def _draw_canaries(axes: "Axes", cells: Cells, styles: Styles) -> None:
    """Exposure of the canary that stood there most often, a line a row."""
    axes.set_visible(bool(cells))
    most = max((cell["repeated"] for cell in cells), default=0)
    rows = list(dict.fromkeys(cell["row"] for cell in cells))
    for cell in cells:
        if cell["repeated"] == most:
            _draw_exposure(axes, rows.index(cell["row"]), cell, styles[cell["row"]])
    if cells:
        axes.axvline(cells[0]["most_bits"], color="grey", ls="-.", label="most that can be shown")
        axes.axvline(1.44, color="black", ls=":", label="a canary never trained on")
        for filled, words in ((True, "what clients send"), (False, "the final result")):
            face = "dimgray" if filled else "white"
            axes.plot([], [], "o", color="dimgray", mfc=face, label=words)
        axes.set_yticks(range(len(rows)), rows)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    axes.set(title=f"Planted canaries that stood {most} times in a client's texts",
             xlabel="exposure (bits)")  # fmt: skip
    axes.grid(alpha=0.3)


def _draw_exposure(axes: "Axes", place: int, cell: Mapping[str, Any], style: RowStyle) -> None:
    """One canary with its interval: filled as the server sees it, hollow at the end."""
    exposure, filled = cell["exposure_bits"], cell["observer"] == "server"
    low, high = exposure["ci95"] or (exposure["value"], exposure["value"])
    high = min(high, cell["most_bits"])
    axes.errorbar(
        [exposure["value"]], [place + (0.12 if filled else -0.12)],
        xerr=[[max(0, exposure["value"] - low)], [max(0, high - exposure["value"])]],
        color=style.colour, marker=style.marker, capsize=3, ls="none",
        mfc=style.colour if filled else "white",
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
            ls=_DASHES[list(lines).index(name) % len(_DASHES)],
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
