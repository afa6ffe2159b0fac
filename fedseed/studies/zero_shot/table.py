"""table.md of a zero-shot study, from its record alone."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.markdown import (
    DETAILS,
    QUICK,
    baseline_grid,
    grid,
    on_task,
    span,
    test_line,
    with_interval,
)
from fedseed.results.table import percent

_DOCUMENTS = (
    "The seed documents: original 84.5 %, assembled 0.0 % on a test set of one class; GPT-2 at a "
    "perplexity of 3,298 (published: 25 to 37 on WikiText-2, by how it is measured), assembled 10 "
    "trillion times worse."
)


def zero_shot_table(record: Mapping[str, Any]) -> str:
    """Accuracy and perplexity with no step taken."""
    results, data = record["results"], record["provenance"]
    blocks = [
        f"# Zero-shot retention{on_task(record)}: what a seed knows before any training",
        QUICK if record["config"]["quick"] else "",
        _DOCUMENTS,
    ]
    cells = [cell for cell in results["cells"] if cell["part"] == "classifier"]
    if cells:
        classes = data["dataset"]["classes"]
        balanced = results["originals"]["balanced"]
        blocks += [
            f"**Classifier** ({record['config']['model']}). Original: {balanced['name']}.",
            classifier_grid([cell for cell in cells if cell["test_set"] == "balanced"]),
            f"{test_line(balanced, classes)}.",
            baseline_grid(results["baselines"]),
        ]
    language = [cell for cell in results["cells"] if cell["part"] == "language"]
    if language:
        blocks += [*_language(language, data), _conclusion(cells, language)]
    elif cells:
        blocks.append(_conclusion(cells, language))
    if cells:
        one = results["originals"]["one_class"]
        blocks += [
            DETAILS,
            "The same models on a test set of one class, as in the documents: a number near 0 or "
            "100 % says which class a model prefers, nothing else.",
            grid(
                ("seed", "one class: range over repeats", "balanced"),
                [
                    [first["row"], span(second["accuracy"]["repeats"]),
                     with_interval(first["accuracy"])]
                    for first, second in zip(cells[::2], cells[1::2], strict=True)
                ],
            ),
            f"One class: {test_line(one, data['dataset']['classes'])}.",
        ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block) + "\n"


def classifier_grid(cells: list[dict[str, Any]]) -> str:
    """Accuracy of every seed without training; beside a lexicon's that of its linear model."""
    lexicons = any(cell.get("linear_accuracy") for cell in cells)
    measured = any(cell.get("linear_of_equal_bytes") for cell in cells)
    rows = [
        [
            cell["row"], _bytes(cell["bytes"]), _error(cell["reconstruction_error"]),
            with_interval(cell["accuracy"]),
            *([_linear(cell, "linear_accuracy")] if lexicons else []),
            *([_linear(cell, "linear_of_equal_bytes")] if measured else []),
            percent(cell["retention_plain"]), percent(cell["retention_chance_corrected"]),
        ]
        for cell in cells
    ]  # fmt: skip
    beside = ["its words alone\\*\\*"] if lexicons else []
    beside += ["linear, equal bytes\\*\\*\\*"] if measured else []
    head = (
        "seed", "bytes", "error*", "accuracy", *beside, "retention, plain", "above chance",
    )  # fmt: skip
    note = "\\* reconstruction error relative to the tensors' deviations: 0 exact, 1 their means."
    if lexicons:
        note += (
            " \\*\\* The bag of words that a lexicon is, without the transformer: before any "
            "training the transformer computes it, and no more."
        )
    if measured:
        note += (
            " \\*\\*\\* A linear model of at most the seed's bytes, of all training texts; it "
            "assembles nothing, and so spends no bytes on it."
        )
    return f"{grid(head, rows)}\n\n{note}"


def _linear(cell: Mapping[str, Any], name: str) -> str:
    linear = cell.get(name)
    return "" if linear is None else percent(linear["value"])


def _bytes(size: int | None) -> str:
    return "weights" if size is None else f"{size:,}"


def _error(error: float | None) -> str:
    return "-" if error is None else f"{error:.2f}"


def number(value: float | None) -> str:
    """A perplexity: infinite when it is beyond float64."""
    if value is None:
        return "infinite"
    return f"{value:,.1f}" if value < 1e5 else f"{value:.2e}"


def _language(cells: list[dict[str, Any]], data: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            cell["row"],
            _bytes(cell["bytes"]) if cell["row"] not in ("unigram", "uniform") else "-",
            number(cell["perplexity"]), number(cell["perplexity_per_word"]),
            "infinite" if cell["loss_nats"] is None else f"{cell['loss_nats']:.3f}",
            percent(cell["retention_chance_corrected"]),
        ]
        for cell in cells
    ]  # fmt: skip
    first, name = cells[0], data["language_model"]["name"]
    training = data["language_model"]["training"]
    trained = f", trained on the same source for {training['steps']} steps" if training else ""
    head = ("seed", "bytes", "perplexity, token", "perplexity, word", "nats/token", "retained*")
    return [
        f"**Causal language model** ({name}{trained}; vocabulary "
        f"{data['language_model']['vocabulary']:,}).",
        grid(head, rows),
        f"Measured on {data['text']['source']}; {first['tokens']:,} tokens scored, "
        f"{first['words']:,} words; windows of {first['context']} tokens every {first['stride']}, "
        "each token once, all tokens of equal weight. \\* of the nats by which the original beats "
        "a uniform guess."
        + (
            " A unigram seed's number is the step of its frequencies, nats."
            if any(cell["row"].startswith("unigram(") for cell in cells)
            else ""
        )
        + (
            ""
            if data["text"].get("has_training_part", True)
            else " The unigram baseline was counted in the scored text itself, which flatters it."
        ),
    ]


def _conclusion(cells: list[dict[str, Any]], language: list[dict[str, Any]]) -> str:
    """Which seeds know something, by their intervals."""
    lines = []
    balanced = [c for c in cells if c["test_set"] == "balanced" and c["row"] != "original"]
    if balanced:
        knows = [
            f"{c['row']} ({percent(c['retention_chance_corrected'])} in {c['bytes']:,} bytes)"
            for c in balanced
            if c["accuracy"]["ci95"][0] > c["accuracy"]["majority_baseline"]
        ]
        chance = [
            c["row"]
            for c in balanced
            if c["accuracy"]["ci95"][0] <= c["accuracy"]["majority_baseline"]
        ]
        if knows:
            lines.append("Above chance before any training: " + ", ".join(knows) + ".")
        if chance:
            lines.append("Not shown to be above chance: " + ", ".join(chance) + ".")
    if language:
        unigram = next(c for c in language if c["row"] == "unigram")
        better = [
            f"{c['row']} ({number(c['perplexity'])} in {c['bytes']:,} bytes)"
            for c in language
            if c["bytes"] and c["loss_nats"] is not None and c["loss_nats"] < unigram["loss_nats"]
        ]
        words = ", ".join(better) if better else "none"
        lines.append(f"Language-model seeds that beat the unigram baseline: {words}.")
    return " ".join(lines)
