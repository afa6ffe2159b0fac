"""figure.png of a federated run, from its record alone."""

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedseed.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GIVEN, _AGGREGATED = "#b0581e", "#1f5fa8"


def write_figure(record: Mapping[str, Any], path: Path) -> None:
    """Draw what the rounds did and what was gained.

    Left: learning rates tried against validation loss, by round, or where clients try no recipes
    their training losses and the server's test accuracy. Right: accuracy with what was given and
    what was aggregated, with the seed's zero-shot accuracy, the original's, and the majority
    baseline.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    config, data = record["config"], record["provenance"]["dataset"]
    if _tried_recipes(record["rounds"]):
        _tried(left, record)
    else:
        _learnt(left, record["rounds"])
    _gained(right, record["results"], record["protocol"])
    figure.suptitle(
        f"{config['model']}, {config['clients']} clients, {len(record['rounds'])} rounds, "
        f"{data['source']}: {_travelled(record)}",
        fontsize=11,
        parse_math=False,
    )
    save_figure(figure, path)


def _travelled(record: Mapping[str, Any]) -> str:
    """What travelled; in a run that began with a lexicon round first its words."""
    words: str = record["protocol"]["travelled"]
    if record["config"].get("start") == "lexicon":
        return f"weighted words in round 1, then {words}"
    return words


def _tried_recipes(rounds: list[dict[str, Any]]) -> bool:
    """Whether clients reported recipes that they tried."""
    return any("recipes" in client["metrics"] for result in rounds for client in result["clients"])


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure, whole or not at all, without the library's name in it.

    Letters that the font lacks are drawn as boxes.

    Args:
        figure: what is drawn.
        path: of a file that becomes SVG where its name ends in ``.svg``, else PNG.
    """
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        if path.suffix == ".svg":
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            # The same names every time, and letters that look the same everywhere.
            with rc_context({"svg.hashsalt": "fedseed", "svg.fonttype": "path"}):
                figure.savefig(buffer, format="svg", metadata=nothing)
        else:
            figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def accuracy_limits(shares: Iterable[float], usual: tuple[float, float]) -> tuple[float, float]:
    """Ends of an axis of accuracies, in per cent: the usual ones where they hold all shares.

    Args:
        shares: accuracies to be drawn, in [0, 1].
        usual: lower and upper end for a task of two classes of the same size.
    """
    values = [100 * share for share in shares]
    low, high = min(values, default=usual[0]), max(values, default=usual[1])
    if usual[0] <= low and high <= usual[1]:
        return usual
    margin = max(1.0, 0.05 * (high - low))
    return low - margin, high + margin


def draw_linear(axes: "Axes", curve: Sequence[Mapping[str, Any]]) -> None:
    """Accuracies of linear models against their bytes: chosen words, and hashed ones."""
    names = {"lexicon": "linear, chosen words", "hashed logistic": "linear, hashed"}
    for (model, name), line in zip(names.items(), ("-", "--"), strict=True):
        points = [(one["bytes"], 100 * one["value"]) for one in curve if one["model"] == model]
        if points:
            sizes, values = zip(*points, strict=True)
            axes.plot(sizes, values, color="black", linestyle=line, linewidth=2, alpha=0.35,
                      label=name, zorder=1)  # fmt: skip


def _tried(axes: "Axes", record: Mapping[str, Any]) -> None:
    from matplotlib.ticker import NullFormatter

    _scatter_trials(axes, record["rounds"])
    for name, colour in (("given", _GIVEN), ("aggregated", _AGGREGATED)):
        recipe = record["results"][name].get("recipe")
        if recipe:
            rate = recipe["learning_rate"]
            axes.axvline(rate, color=colour, linestyle="--", linewidth=1.2, label=f"{name} recipe")
    axes.set_xscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate (log scale)")
    axes.set_ylabel("validation loss on the client's own split (nats)")
    axes.set_title("Recipes tried by the clients", fontsize=10)
    axes.legend(fontsize=8, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def _scatter_trials(axes: "Axes", rounds: list[dict[str, Any]]) -> None:
    """Rates and losses of all trials, one colour a round; of many rounds three are named."""
    from matplotlib import colormaps

    colours = colormaps["viridis"]
    few = len(rounds) <= 5
    named = range(len(rounds)) if few else (0, len(rounds) // 2, len(rounds) - 1)
    for number, result in enumerate(rounds):
        points = [
            (trial["learning_rate"], trial["validation_loss"])
            for client in result["clients"]
            for trial in client["metrics"].get("recipes", [])
            if trial["validation_loss"] is not None
        ]
        if points:
            shade = colours(0.85 * number / max(1, len(rounds) - 1))
            rates, losses = zip(*points, strict=True)
            axes.scatter(
                rates, losses, color=shade, s=34, alpha=0.85, edgecolors="white",
                linewidths=0.5, label=f"round {result['round']}" if number in named else None,
            )  # fmt: skip


def _learnt(axes: "Axes", rounds: list[dict[str, Any]]) -> None:
    """Training losses of the clients by round, and the tests of the server's model."""
    from matplotlib.ticker import MaxNLocator

    points = [
        (result["round"], client["metrics"]["train_loss"])
        for result in rounds
        for client in result["clients"]
        if client["metrics"].get("train_loss") is not None
    ]
    if points:
        numbers, losses = zip(*points, strict=True)
        axes.scatter(numbers, losses, s=22, color=_GIVEN, alpha=0.7, label="one client")
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("training loss, end of the round (nats)")
    axes.set_ylim(bottom=0)
    axes.set_title("Training on the clients", fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    tests = {result["round"]: result["test"] for result in rounds if "test" in result}
    if tests:
        more = _draw_tests(axes.twinx(), tests)
        handles, labels = handles + more[0], labels + more[1]
    axes.legend(
        handles, labels, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16)
    )


def _draw_tests(
    axes: "Axes", tests: Mapping[int, Mapping[str, Any]]
) -> tuple[list[Any], list[Any]]:
    """Accuracy of the server's model by round; returns what the legend needs."""
    values = [100 * test["value"] for test in tests.values()]
    low = [v - 100 * test["ci95"][0] for v, test in zip(values, tests.values(), strict=True)]
    high = [100 * test["ci95"][1] - v for v, test in zip(values, tests.values(), strict=True)]
    n = next(iter(tests.values()))["n"]
    axes.errorbar(
        list(tests), values, [low, high], color=_AGGREGATED, marker="o", capsize=4,
        label=f"test accuracy of the average (n = {n:,})",
    )  # fmt: skip
    axes.set_ylim(0, 100)
    axes.set_ylabel("test accuracy (%)")
    return axes.get_legend_handles_labels()


def _gained(axes: "Axes", results: Mapping[str, Any], protocol: Mapping[str, Any]) -> None:
    roles = [role for role in _PEOPLE if results["given"].get(role) is not None]
    width, knows = 0.36, results.get("aggregated_seed") is not None
    for shift, (name, colour) in enumerate((("given", _GIVEN), ("aggregated", _AGGREGATED))):
        for place, role in enumerate(roles):
            label = protocol[name] if place == 0 else None
            x = place + (shift - 0.5) * width
            (_point if knows else _bar)(axes, x, width * 0.94, results[name][role], colour, label)
    lowest = _reference_lines(axes, results, knows)
    axes.set_xticks(
        range(len(roles)),
        [f"{_PEOPLE[role]}\n(n = {results['given'][role]['n']:,} test examples)" for role in roles],
    )
    if knows:
        axes.set_xlim(-0.6, len(roles) - 0.4)
        axes.set_ylim(lowest, None)
    else:
        axes.set_ylim(0, 100)
        axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("test accuracy (%)")
    drawn = "Points" if knows else "Bars"
    axes.set_title(f"{drawn}: mean and 95 % interval; dots: single clients", fontsize=10)
    axes.legend(
        fontsize=8, ncols=2 if knows else 3, loc="upper center", bbox_to_anchor=(0.5, -0.16)
    )


_PEOPLE = {
    "newcomers": "newcomers", "participants_mean": "participants", "pooled": "clients' own texts",
}  # fmt: skip


def _bar(
    axes: "Axes", x: float, width: float, accuracy: Mapping[str, Any], colour: str,
    label: str | None,
) -> None:  # fmt: skip
    """An accuracy as a bar with its interval, and a dot for each single model."""
    value, (low, high) = 100 * accuracy["value"], (100 * end for end in accuracy["ci95"])
    axes.bar(x, value, width, color=colour, alpha=0.85, label=label)
    axes.errorbar(x, value, [[value - low], [high - value]], color="black", capsize=4)
    models = [100 * share for share in accuracy.get("models", [])]
    axes.scatter([x] * len(models), models, color="white", edgecolors="black", s=14, zorder=3)
    axes.text(x, 25, f"{value:.1f} %", ha="center", color="white", fontweight="bold")


def _point(
    axes: "Axes", x: float, width: float, accuracy: Mapping[str, Any], colour: str,
    label: str | None,
) -> None:  # fmt: skip
    """An accuracy as a point with its interval, where differences are small beside the value."""
    value, (low, high) = 100 * accuracy["value"], (100 * end for end in accuracy["ci95"])
    axes.errorbar(x, value, [[value - low], [high - value]], color=colour, capsize=4, marker="D",
                  markersize=7, linestyle="", label=label)  # fmt: skip
    models = [100 * share for share in accuracy.get("models", [])]
    axes.scatter([x - width / 4] * len(models), models, color="white", edgecolors="black", s=14,
                 zorder=3)  # fmt: skip
    axes.text(x + width / 8, value, f"{value:.1f} %", va="center", fontsize=9)


def _reference_lines(axes: "Axes", results: Mapping[str, Any], near: bool) -> float:
    """Lines to compare with; those far below are only named if the axis shows what is near.

    Returns:
        Where an axis of what is near begins, per cent.
    """
    lowest: float = min(
        [100 * one["ci95"][0] for name in ("given", "aggregated")
         for one in results[name].values() if isinstance(one, Mapping) and "ci95" in one]
    ) - 1  # fmt: skip

    def line(value: float, label: str, **style: Any) -> None:
        if near and value < lowest:
            axes.plot([], [], label=f"{label}, below", **style)
        else:
            axes.axhline(value, label=label, **style)

    for key, name, style in (
        ("original", "original", "-"),
        ("zero_shot", "untrained seed", ":"),
        ("aggregated_seed", "aggregated seed, untrained", "-."),
        ("linear_of_equal_bytes", "linear model of equal bytes", (0, (5, 2, 1, 2, 1, 2))),
        ("alone", "each alone, bag of words", (0, (3, 1))),
    ):
        if results.get(key) is None:
            continue
        value = 100 * results[key]["value"]
        line(value, f"{name}, {value:.1f} %", color="dimgray", linestyle=style, linewidth=1.2)
    tested = results.get("original") or results["given"]["pooled"]
    majority = 100 * tested["majority_baseline"]
    line(majority, f"majority class, {majority:.1f} %", color="black", linestyle="--",
         linewidth=0.9)  # fmt: skip
    return lowest
