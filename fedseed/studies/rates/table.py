"""table.md of a rates study, from its record alone."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.markdown import (
    QUICK,
    baseline_grid,
    grid,
    interval_in_points,
    on_task,
    p_value,
    points,
    test_line,
    with_interval,
)

_WORDS = {
    "lexicon": "a lexicon of the other texts",
    "random-scaled": "a random seed",
}


def rates_table(record: Mapping[str, Any]) -> str:
    """Accuracy at every rate, and the gain over the seed's own answers."""
    results, config = record["results"], record["config"]
    cells = results["cells"]
    first = cells[0]["before"]
    classes = record["provenance"]["dataset"]["classes"]
    repeats = len(first["repeats"])
    blocks = [
        f"# Rates from a seed{on_task(record)}: {config['model']}, {repeats} repeats",
        QUICK if config["quick"] else "",
        f"A newcomer trains on {config['samples']:,} texts of its own, {config['steps']:,} steps "
        f"of {config['batch_size']}, {config['max_length']} tokens, word embeddings at "
        f"{config['multiplier']:g} times the rate; from a seed that knows the task the shares of "
        f"its answers are put back after training. {test_line(first, classes)}. Gain: points over "
        "the untrained seed on the same test texts, with a 95 % interval over texts and newcomers, "
        "and beside it over newcomers alone, these texts given; p: of newcomers alone (paired "
        "t-test, adjusted for the number of rates by Holm's method).",
    ]
    for start in dict.fromkeys(cell["start"] for cell in cells):
        of_start = [cell for cell in cells if cell["start"] == start]
        before = of_start[0]["before"]
        blocks += [
            f"**{_WORDS[start]}**, {of_start[0]['bytes']:,} bytes, untrained: "
            f"{with_interval(before)}",
            _grid(of_start),
        ]
    blocks += [_verdict(cells), baseline_grid(results["baselines"])]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _grid(cells: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{cell['learning_rate']:g}",
            with_interval(cell["after"]) + (" diverged" if cell["diverged"] else ""),
            f"{points(cell['gain']['difference'])} ({interval_in_points(cell['gain']['ci95'])})",
            _alone(cell["over_newcomers"]),
            p_value(cell["over_newcomers"]["p_holm"]),
        ]
        for cell in cells
    ]  # fmt: skip
    return grid(("rate", "accuracy", "gain", "newcomers alone", "p"), rows)


def _alone(paired: Mapping[str, Any]) -> str:
    """An interval over newcomers; there is none of one."""
    return interval_in_points(paired["ci95"]) if paired["ci95"] else "-"


def _verdict(cells: list[dict[str, Any]]) -> str:
    known = [cell for cell in cells if cell["start"] == "lexicon"]
    better = [f"{c['learning_rate']:g}" for c in known if c["gain"]["ci95"][0] > 0]
    worse = [f"{c['learning_rate']:g}" for c in known if c["gain"]["ci95"][1] < 0]
    here = [f"{c['learning_rate']:g}" for c in known if _improves(c["over_newcomers"])]
    said = [
        f"Rates that improve the seed (interval above 0): {', '.join(better) or 'none'}; on these "
        f"very texts, over newcomers (p below 0.05): {', '.join(here) or 'none'}.",
        f"Rates that spoil it (interval below 0): {', '.join(worse) or 'none'}.",
    ]
    return " ".join(said)


def _improves(paired: Mapping[str, Any]) -> bool:
    p = paired["p_holm"]
    return p is not None and p < 0.05 and paired["difference"] > 0
