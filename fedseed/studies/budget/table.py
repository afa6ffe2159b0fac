"""table.md of a budget study, from its record alone."""

from collections.abc import Mapping
from typing import Any

from fedseed.evaluation.costs import cost_analysis
from fedseed.results.markdown import (
    DETAILS,
    QUICK,
    baseline_grid,
    grid,
    on_task,
    speed,
    test_line,
    with_interval,
)
from fedseed.results.table import percent
from fedseed.studies.budget.options import ADAPTED, FROZEN, MOVED, WHOLE

_NOTES = {
    "pca": ": a seed of 10 components, which brings along what its original learnt from all "
    "training examples",
    "lexicon": ": a seed of the words of all training examples, which knows before any step",
    WHOLE: ": published weights, which --model names; everything is trained",
    ADAPTED: ": the same, of which factors of rank 4 of the attention are trained, and the head",
    MOVED: ": the same, of which coordinates of rank 18 are trained",
    FROZEN: ": published weights, a linear head on mean-pooled features; nothing of the "
    "body travels or learns; not measured with more examples than shown",
}


def budget_table(record: Mapping[str, Any]) -> str:
    """Accuracy by examples and steps, the smallest budgets, the costs, and the verdicts."""
    results, cells = record["results"], record["results"]["cells"]
    starts = list(dict.fromkeys(cell["start"] for cell in cells))
    classes = record["provenance"]["dataset"]["classes"]
    first = cells[0]["after"]
    repeats = len(first["repeats"])
    blocks = [
        f"# The smallest budget{on_task(record)}: {record['config']['model']}, {repeats} repeats",
        QUICK if record["config"]["quick"] else "",
        f"Mean accuracy. {test_line(first, classes)}.",
    ]
    for start in starts:
        blocks += [
            f"**{start}**{_NOTES.get(start, '')}"
            + _linear([cell for cell in cells if cell["start"] == start], results),
            _grid([cell for cell in cells if cell["start"] == start]),
        ]
    blocks += [
        baseline_grid(results["baselines"]),
        "Smallest budgets whose mean reaches a target:",
        smallest_grid(results["smallest"]),
        "Fine-tuning from a seed (the quickest budget that reaches the target, one thread here) "
        "against downloading weights, no latency counted. Fine-tuning is quicker than a download "
        "of that size below the link speed named:",
        _costs(cost_analysis(cells, [one["target"] for one in results["smallest"][:3]])),
        _verdict(cells),
        DETAILS,
        "Every cell with its 95 % interval over test examples and repeats; seconds of training on "
        "one thread, median. A cell marked \\* stopped earlier in at least one repeat, because the "
        "training loss was below 0.005 nats: it carries the last test.",
        _cells(cells),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _linear(cells: list[dict[str, Any]], results: Mapping[str, Any]) -> str:
    """The linear model that is as long as a start's seed, if the record has it."""
    size = cells[0]["bytes"]
    fitting = [one for one in results.get("linear", [])
               if one["model"] == "lexicon" and one["bytes"] <= (size or 0)]  # fmt: skip
    if not fitting:
        return ""
    best = max(fitting, key=lambda one: int(one["bytes"]))
    return f". {size:,} bytes; a linear model of {best['bytes']:,}: {percent(best['value'])}"


def _grid(cells: list[dict[str, Any]]) -> str:
    steps = list(dict.fromkeys(cell["steps"] for cell in cells))
    sizes = list(dict.fromkeys(cell["samples"] for cell in cells))
    rows = [
        [
            f"{size:,}",
            *(
                next(
                    percent(cell["after"]["value"])
                    for cell in cells
                    if (cell["samples"], cell["steps"]) == (size, count)
                )
                for count in steps
            ),
        ]
        for size in sizes
    ]  # fmt: skip
    return grid(("examples", *(f"{count:,} steps" for count in steps)), rows)


def smallest_grid(smallest: list[dict[str, Any]]) -> str:
    """The smallest budgets that reach a target."""

    def words(brief: Mapping[str, Any] | None) -> str:
        if brief is None:
            return "not reached"
        steps = "step" if brief["steps"] == 1 else "steps"
        where = f"{brief['samples']:,} examples, {brief['steps']:,} {steps}"
        return f"{where}: {with_interval(brief['after'])}"

    rows = [
        [
            one["start"], f"{100 * one['target']:.0f} %", words(one["fewest_samples"]),
            words(one["fewest_steps"]),
        ]
        for one in smallest
    ]  # fmt: skip
    return grid(("start", "target", "fewest examples", "fewest steps"), rows)


def _costs(costs: list[dict[str, Any]]) -> str:
    rows = []
    names: list[str] = []
    for one in costs:
        target = f"{100 * one['target']:.0f} %"
        if one["budget"] is None:
            rows.append([one["start"], target, "not reached"])
            continue
        budget, even = one["budget"], one["break_even_bits_per_second"]
        names = list(even)
        words = f"{budget['samples']:,} examples, {budget['steps']:,} steps"
        speeds = [speed(value) for value in even.values()]
        rows.append([one["start"], target, words, f"{budget['seconds']:.1f}", *speeds])
    head = ["start", "target", "quickest budget", "seconds", *(f"{name}, below" for name in names)]
    return grid(head, [row + ["-"] * (len(head) - len(row)) for row in rows])


def _verdict(cells: list[dict[str, Any]]) -> str:
    """The documents' own success criteria, answered."""
    lines = ["**The seed documents' criteria.**"]
    few = [cell for cell in cells if cell["samples"] <= 100]
    if few:
        top = max(few, key=lambda cell: cell["after"]["value"])
        answer = "Yes" if top["after"]["value"] >= 0.95 else "No"
        lines.append(
            f"Up to 100 examples at 95 %: {answer}; the best with up to 100 examples is "
            f"{with_interval(top['after'])} ({_where(top)})."
        )
    for start in dict.fromkeys(cell["start"] for cell in cells):
        of_start = [cell for cell in cells if cell["start"] == start]
        best = max(of_start, key=lambda cell: cell["after"]["value"])
        few = [cell for cell in of_start if cell["steps"] <= 100]
        if not few:
            continue
        quick = max(few, key=lambda cell: cell["after"]["value"])
        answer = "Yes" if best["after"]["value"] - quick["after"]["value"] < 0.01 else "No"
        lines.append(
            f"Up to 100 steps to converge (within 1 point of the start's best) from {start}: "
            f"{answer}; {percent(quick['after']['value'])} with up to 100 steps, "
            f"{percent(best['after']['value'])} at best."
        )
    lines.append("The best of many cells is optimistic.")
    return " ".join(lines)


def _where(cell: Mapping[str, Any]) -> str:
    return f"{cell['start']}, {cell['samples']:,} examples, {cell['steps']:,} steps"


def _cells(cells: list[dict[str, Any]]) -> str:
    rows = [
        [
            cell["start"], f"{cell['samples']:,}", f"{cell['steps']:,}",
            with_interval(cell["after"]) + (" \\*" if cell["stopped_after"] else ""),
            f"{cell['seconds']:.2f}",
        ]
        for cell in cells
    ]  # fmt: skip
    return grid(("start", "examples", "steps", "accuracy", "seconds"), rows)
