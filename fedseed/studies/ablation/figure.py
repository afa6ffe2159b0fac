"""figure.png of an ablation, from its record alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.results.figure import save_figure
from fedseed.results.markdown import on_task
from fedseed.studies.ablation.table import seed_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEFORE, _DOCUMENTS, _GOOD = "#8a8a8a", "#b0581e", "#1f5fa8"


def ablation_figure(record: Mapping[str, Any], path: Path) -> None:
    """Left: what a test of one class says. Right: the same seeds on all classes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    results = record["results"]
    _panel(left, results, "one_class", "As in the documents: trained and tested on one class")
    _panel(right, results, "balanced", "All classes in training and test")
    left.set_ylabel("test accuracy (%)")
    right.axhline(
        100 * results["originals"]["balanced"]["value"], color="black", linewidth=1.1,
        label="original",
    )  # fmt: skip
    baseline = results["baselines"].get("tfidf_full")
    if baseline is not None:
        right.axhline(
            100 * baseline["value"], color="#2e7d32", linewidth=1.1, linestyle="--",
            label="TF-IDF + logistic regression, whole texts",
        )  # fmt: skip
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    n = results["originals"]["balanced"]["n"]
    repeats = len(results["cells"][0]["after"]["repeats"])
    quick = ", QUICK RUN" if record["config"]["quick"] else ""
    figure.suptitle(
        f"{record['config']['model']}{on_task(record)}: does the seed matter? "
        f"{repeats} repeats, balanced test n = {n:,}{quick}",
        fontsize=11, parse_math=False,
    )  # fmt: skip
    save_figure(figure, path)


def _panel(axes: "Axes", results: Mapping[str, Any], test_set: str, title: str) -> None:
    cells = [cell for cell in results["cells"] if cell["test_set"] == test_set]
    names = list(dict.fromkeys(seed_name(cell) for cell in cells))
    series = (
        ("untrained", "documents", "before", _BEFORE, "o", -0.25),
        ("the documents' recipe", "documents", "after", _DOCUMENTS, "s", 0.0),
        ("a good recipe", "good", "after", _GOOD, "D", 0.25),
    )
    for label, recipe_name, when, colour, marker, shift in series:
        by_name = {seed_name(c): c[when] for c in cells if c["recipe_name"] == recipe_name}
        for place, name in enumerate(names):
            words = f"{label} (mean, 95 % interval)" if place == 0 else None
            _draw_point(axes, place + shift, by_name[name], colour, marker, words)
    majority = 100 * cells[0]["after"]["majority_baseline"]
    axes.axhline(majority, color="grey", linestyle=":", linewidth=1.2, label="majority baseline")
    sizes = {seed_name(cell): cell["bytes"] for cell in cells}
    axes.set_xticks(range(len(names)), [f"{n}\n{sizes[n]:,} B" for n in names], fontsize=8)
    axes.set_ylim(-3, 103)
    axes.set_title(title, fontsize=10)
    axes.grid(axis="y", alpha=0.3)


def _draw_point(
    axes: "Axes", x: float, accuracy: Mapping[str, Any], colour: str, marker: str,
    label: str | None,
) -> None:  # fmt: skip
    """A mean with its interval, and a dot for each repeat."""
    value, (low, high) = 100 * accuracy["value"], (100 * end for end in accuracy["ci95"])
    axes.errorbar(
        x, value, [[value - low], [high - value]], color=colour, marker=marker, markersize=6,
        capsize=3, linestyle="none", label=label,
    )  # fmt: skip
    repeats = accuracy["repeats"]
    axes.scatter(
        [x + 0.07] * len(repeats), [100 * value for value in repeats], s=9, color=colour, alpha=0.5
    )
