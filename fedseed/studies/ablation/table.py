"""table.md of an ablation, from its record alone."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.markdown import (
    DETAILS,
    QUICK,
    baseline_rows,
    grid,
    interval_in_points,
    on_task,
    p_value,
    points,
    span,
    test_line,
    with_interval,
)
from fedseed.results.table import percent

DOCUMENTS = {
    "random": ("100.0 %", "100.0 %", "0 B"),
    "minimal": ("100.0 %", "100.0 %", "175 MB"),
    "stats": ("0.0 %", "100.0 %", "3 KB"),
    "pca": ("0.0 %", "100.0 %", "109 KB"),
}
"""What the seed documents print: before, after, size."""
_OURS = "pca*"
"""The one-class row that has no counterpart in the documents."""


def ablation_table(record: Mapping[str, Any]) -> str:
    """The documents' figures, ours tested as theirs, and the honest ones; then all cells."""
    results = record["results"]
    classes = record["provenance"]["dataset"]["classes"]
    repeats = len(results["cells"][0]["after"]["repeats"])
    one, balanced = (results["originals"][name] for name in ("one_class", "balanced"))
    blocks = [
        f"# Ablation{on_task(record)}: {record['config']['model']}, {repeats} repeats",
        QUICK if record["config"]["quick"] else "",
        "Accuracy before and after fine-tuning with the seed documents' recipe. The first two "
        "columns are of a test set of one class, on which a constant answer is right always or "
        "never; the last tests on all classes what was trained on all classes.",
        artefact_grid(results["cells"]),
        f"One class: {test_line(one, classes)}. Balanced: {test_line(balanced, classes)}.",
        "One class: extracted seeds are of a model that, like the documents', was never trained on "
        "the task; * of the fine-tuned original, as all extracted seeds of the balanced columns.",
        "The good recipe, balanced test:",
        good_grid(results["cells"]),
        conclusion(results),
        "References on the balanced test:",
        grid(
            ("model", "accuracy", "majority"),
            [
                [results["central"]["name"], with_interval(results["central"]),
                 percent(results["central"]["majority_baseline"])],
                [f"original: {balanced['name']}", with_interval(balanced),
                 percent(balanced["majority_baseline"])],
                *baseline_rows(results["baselines"]),
            ],
        ),
        DETAILS,
        "Mean over repeats with a 95 % interval that covers test examples and repeats; retention "
        "of the original's accuracy on the same test.",
        _cells(results["cells"]),
        "Balanced test, after fine-tuning: paired t-tests over repeats (same order of examples), "
        "p-values adjusted for their number within a recipe (Holm 1979). They speak of other keys "
        "and orders, on these test examples; all extracted seeds are of one original.",
        _comparisons(results["comparisons"]),
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block) + "\n"


def artefact_grid(cells: list[dict[str, Any]]) -> str:
    """The documents' figures, ours tested as theirs, and the honest ones."""
    rows = []
    for cell in cells:
        if cell["recipe_name"] != "documents" or cell["test_set"] != "one_class":
            continue
        honest = next(
            c for c in cells
            if c["test_set"] == "balanced" and c["recipe_name"] == "documents" and _same(c, cell)
        )  # fmt: skip
        theirs = DOCUMENTS.get(cell["seed_kind"])
        rows.append([
            seed_name(cell),
            "-" if theirs is None or seed_name(cell) == _OURS else f"{theirs[0]} -> {theirs[1]}",
            f"{span(cell['before']['repeats'])} -> {span(cell['after']['repeats'])}",
            with_interval(cell["after_balanced"]),
            f"{percent(honest['before']['value'])} -> {with_interval(honest['after'])}",
        ])  # fmt: skip
    head = (
        "seed", "the documents", "ours, one class (range)",
        "the same models, balanced", "ours, balanced",
    )  # fmt: skip
    return grid(head, rows)


def good_grid(cells: list[dict[str, Any]]) -> str:
    """The good recipe on the balanced test."""
    rows = [
        [
            seed_name(cell), f"{cell['bytes']:,}", percent(cell["before"]["value"]),
            with_interval(cell["after"]), percent(cell["retention_chance_corrected"]),
        ]
        for cell in cells
        if cell["recipe_name"] == "good" and cell["test_set"] == "balanced"
    ]  # fmt: skip
    return grid(("seed", "bytes", "before", "after", "retention above chance"), rows)


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(first[name] == second[name] for name in ("seed_kind", "scheme"))


def seed_name(cell: Mapping[str, Any]) -> str:
    """A seed kind, with the scheme of a random one."""
    scheme, kind = cell.get("scheme"), str(cell["seed_kind"])
    if cell["test_set"] == "one_class" and kind == "pca" and cell["extracted_from"] == "original":
        return _OURS
    return f"{kind} ({scheme})" if scheme else kind


def _cells(cells: list[dict[str, Any]]) -> str:
    rows = [
        [
            seed_name(cell), f"{cell['bytes']:,}", cell["recipe_name"],
            cell["test_set"].replace("_", " "), percent(cell["before"]["value"]),
            with_interval(cell["after"]), percent(cell["retention_plain"]),
            percent(cell["retention_chance_corrected"]), f"{cell['seconds']:.1f}",
        ]
        for cell in cells
    ]  # fmt: skip
    head = (
        "seed", "bytes", "recipe", "test", "before", "after", "retention, plain",
        "above chance", "seconds*",
    )  # fmt: skip
    note = "\\* extraction, assembly and fine-tuning, one thread, median."
    return f"{grid(head, rows)}\n\n{note}"


def _comparisons(comparisons: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["row"], one["against"], one["recipe_name"], points(one["difference"]),
            interval_in_points(one["ci95"]), p_value(one["p_value_holm"]),
        ]
        for one in comparisons
    ]  # fmt: skip
    return grid(("seed", "against", "recipe", "points", "95 % interval", "p (Holm)"), rows)


def conclusion(results: Mapping[str, Any]) -> str:
    """What the paired tests of the good recipe say, in one sentence each."""
    lines = []
    for scheme in ("random-bert", "random-scaled"):
        tests = [
            test
            for test in results["comparisons"]
            if test["recipe_name"] == "good" and test["against"] == scheme
        ]
        verdicts = {
            "better": [test for test in tests if _differs(test) and test["difference"] > 0],
            "worse": [test for test in tests if _differs(test) and test["difference"] < 0],
            "not shown to differ": [test for test in tests if not _differs(test)],
        }
        parts = [
            f"{verdict}: "
            + ", ".join(f"{test['row']} ({points(test['difference'])} points)" for test in some)
            for verdict, some in verdicts.items()
            if some
        ]
        lines.append(f"With the good recipe, against {scheme}, " + "; ".join(parts) + ".")
    return " ".join(lines)


def _differs(comparison: Mapping[str, Any]) -> bool:
    p = comparison["p_value_holm"]
    return p is not None and bool(p < 0.05)  # without spread nothing was tested
