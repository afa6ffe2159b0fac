"""figure.png of a zero-shot study, from its record alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.results.figure import accuracy_limits, save_figure
from fedseed.results.markdown import on_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {
    "random-bert": "s", "random-scaled": "^", "minimal": "D", "stats": "v", "pca by budget": "P",
    "file": "X",
}  # fmt: skip
_USUAL_LIMITS = (40, 95)
_DRAWN, _PCA, _OTHER, _LEXICON = "#b0581e", "#1f5fa8", "#6a3d9a", "#2e7d32"


def zero_shot_figure(record: Mapping[str, Any], path: Path) -> None:
    """Accuracy, and perplexity, before any training, against the bytes of the seed."""
    from matplotlib.figure import Figure

    results = record["results"]
    parts = list(dict.fromkeys(cell["part"] for cell in results["cells"]))
    figure = Figure(figsize=(5.9 * len(parts) + 0.6, 5.2), layout="constrained")
    quick = ", QUICK RUN" if record["config"]["quick"] else ""
    for axes, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        cells = [cell for cell in results["cells"] if cell["part"] == part]
        if part == "classifier":
            _classifier(axes, [c for c in cells if c["test_set"] == "balanced"], results)
        else:
            _language(axes, cells)
        axes.set_xscale("log")
        axes.margins(x=0.12)
        axes.set_xlabel("bytes of the encoded seed (log scale)")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    figure.suptitle(
        f"What a seed knows{on_task(record)} before any training{quick}",
        fontsize=11,
        parse_math=False,
    )
    save_figure(figure, path)


def _classifier(axes: "Axes", cells: list[dict[str, Any]], results: Mapping[str, Any]) -> None:
    for cell in cells:
        if cell["bytes"] is not None:
            accuracy = cell["accuracy"]
            value, (low, high) = 100 * accuracy["value"], (100 * end for end in accuracy["ci95"])
            axes.errorbar(
                cell["bytes"], value, [[value - low], [high - value]], color=_colour(cell),
                marker=_marker(cell), capsize=3, linestyle="none", label=_label(cell),
            )  # fmt: skip
            _name(axes, cell, value)
    for kind in ("pca", "lexicon"):
        of_kind = [c for c in cells if _kind(c) == kind]
        _curve(axes, [(c["bytes"], 100 * c["accuracy"]["value"]) for c in of_kind], kind)
    original = results["originals"]["balanced"]
    axes.axhline(
        100 * original["value"], color="black", linewidth=1.1, label="original (all weights)"
    )
    baseline = results["baselines"].get("tfidf_full")
    if baseline is not None:
        axes.axhline(
            100 * baseline["value"], color="#2e7d32", linestyle="--", linewidth=1.1,
            label="TF-IDF + logistic regression",
        )  # fmt: skip
    axes.axhline(
        100 * original["majority_baseline"], color="grey", linestyle=":",
        label="majority baseline",
    )  # fmt: skip
    axes.set_ylabel("test accuracy (%)")
    drawn = [cell["accuracy"] for cell in cells if cell["bytes"] is not None]
    ends = [end for accuracy in drawn for end in accuracy["ci95"]]
    lines = [one["value"] for one in (original, baseline) if one]
    axes.set_ylim(accuracy_limits([*ends, *lines, original["majority_baseline"]], _USUAL_LIMITS))
    axes.set_title(f"Classifier, balanced test, n = {original['n']:,}", fontsize=10)


def _language(axes: "Axes", cells: list[dict[str, Any]]) -> None:
    for cell in cells:
        if cell["bytes"] is not None and cell["perplexity"] is not None:
            axes.scatter(
                cell["bytes"], cell["perplexity"], color=_colour(cell), zorder=3,
                marker=_marker(cell), label=_label(cell),
            )  # fmt: skip
            _name(axes, cell, cell["perplexity"])
    for kind in ("pca", "unigram"):
        of_kind = [cell for cell in cells if _kind(cell) == kind and cell["perplexity"]]
        _curve(axes, [(cell["bytes"], cell["perplexity"]) for cell in of_kind], kind)
    styles = {"original": ("black", "-"), "unigram": ("#2e7d32", "--"), "uniform": ("grey", ":")}
    for name, (colour, style) in styles.items():
        cell = next(c for c in cells if c["row"] == name)
        if cell["perplexity"] is not None:
            axes.axhline(
                cell["perplexity"], color=colour, linestyle=style, linewidth=1.1, label=name
            )
    axes.set_yscale("log")
    axes.set_ylabel("perplexity per token (log scale; lower is better)")
    axes.set_title(
        f"Language model, context {cells[0]['context']}, stride {cells[0]['stride']}", fontsize=10
    )


def _kind(cell: Mapping[str, Any]) -> str | None:
    """The kind of a seed of which there are several sizes: a curve goes through their points."""
    kind, bracket, _ = str(cell["row"]).partition("(")
    return kind if bracket else None


_COLOURS = {"pca": _PCA, "lexicon": _LEXICON, "unigram": _LEXICON}


def _colour(cell: Mapping[str, Any]) -> str:
    kind = _kind(cell)
    if kind is not None:
        return _COLOURS[kind]
    return _OTHER if cell["row"].startswith(("pca", "file")) else _DRAWN


def _marker(cell: Mapping[str, Any]) -> str:
    return "*" if _kind(cell) in ("lexicon", "unigram") else _MARKERS.get(cell["row"], "o")


def _label(cell: Mapping[str, Any]) -> str | None:
    return str(cell["row"]) if _kind(cell) is None else None


def _curve(axes: "Axes", points: list[tuple[float, float]], kind: str) -> None:
    label = {"pca": "pca, with its k", "lexicon": "lexicon", "unigram": "unigram seed"}[kind]
    if points:
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, color=_COLOURS[kind], linewidth=1, alpha=0.7, label=label)


def _name(axes: "Axes", cell: Mapping[str, Any], value: float) -> None:
    """Write k at a pca seed's point; other kinds stand in the legend."""
    if _kind(cell) == "pca":
        axes.annotate(
            cell["row"][4:-1], (cell["bytes"], value), fontsize=8, xytext=(0, 7),
            textcoords="offset points", ha="center", color=_PCA,
        )  # fmt: skip
