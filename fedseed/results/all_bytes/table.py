"""table.md of all bytes, from its record alone."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.markdown import QUICK, baseline_grid, grid, size, with_interval
from fedseed.results.table import percent


def bytes_table(record: Mapping[str, Any]) -> str:
    """Every seed and protocol from the fewest bytes, with the linear model of as many."""
    results = record["results"]
    points = sorted(
        (one for one in results["points"] if one["bytes"]), key=lambda one: float(one["bytes"])
    )
    accuracy = points[0]["accuracy"]
    n = max(one["accuracy"]["n"] for one in points)
    blocks = [
        "# Accuracy for bytes: seeds before any training, and protocols",
        QUICK if record["config"]["quick"] else "",
        f"n = {n:,} test texts unless said otherwise; classes {_classes(accuracy)}; majority "
        f"baseline {percent(accuracy['majority_baseline'])}. Bytes of a seed are all it takes to "
        "assemble the model; those of a protocol are one client's payloads, down in all rounds "
        "and once more the result, and up. Linear: a linear model of at most as many bytes, "
        "chosen words of all training texts, at as many tokens.",
        grid(("bytes", "what", "tokens", "accuracy", "linear"),
             [_row(one, results["linear"], n) for one in points]),
        baseline_grid(results["baselines"]),
        "Records: " + ", ".join(one["record"] for one in record["provenance"]["records"]) + ".",
    ]  # fmt: skip
    return "\n\n".join(block for block in blocks if block) + "\n"


def _row(point: Mapping[str, Any], linear: list[dict[str, Any]], n: int) -> list[str]:
    accuracy = point["accuracy"]
    fewer = "" if accuracy["n"] == n else f" (n = {accuracy['n']:,})"
    fitting = [
        one for one in linear
        if one["model"] == "lexicon" and one["max_length"] == point["max_length"]
        and one["bytes"] <= point["bytes"]
    ]  # fmt: skip
    best = max(fitting, key=lambda one: int(one["bytes"]), default=None)
    return [
        size(point["bytes"]), f"{point['what']} {point['row']}", str(point["max_length"]),
        with_interval(accuracy) + fewer, "-" if best is None else percent(best["value"]),
    ]  # fmt: skip


def _classes(accuracy: Mapping[str, Any]) -> str:
    counts = accuracy["class_counts"]
    if len(counts) <= 4:
        return " and ".join(f"{count:,}" for count in counts)
    return f"{len(counts)}, of {min(counts):,} to {max(counts):,} texts"
