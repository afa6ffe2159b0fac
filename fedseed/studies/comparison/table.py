"""table.md of a comparison, from its record alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.evaluation.frontier import TIMED, client_bytes, series_of
from fedseed.results.markdown import (
    DETAILS,
    QUICK,
    baseline_grid,
    grid,
    linear_blocks,
    models_of,
    on_task,
    size,
    test_line,
    with_interval,
)
from fedseed.results.table import percent
from fedseed.studies.comparison.readings import (
    budget_grid,
    link_grid,
    personal_grid,
    robustness_grid,
    target_grid,
    verdicts,
)

Cells = Sequence[Mapping[str, Any]]
_ABOUT_LINEAR = (
    " \\*\\* a linear model of at most the row's bytes, down and up: chosen words with quantised "
    "weights, made of all training texts together and tested on the same ones."
)


def comparison_table(record: Mapping[str, Any]) -> str:
    """Accuracy, bytes and work of every row, read in three ways, and every round in detail."""
    cells = record["results"]["cells"]
    undisturbed = [cell for cell in cells if cell["condition"] is None]
    partitions = list(dict.fromkeys(cell["partition"] for cell in undisturbed))
    first = [cell for cell in undisturbed if cell["partition"] == partitions[0]]
    blocks = _head(record, first)
    for partition in partitions:
        here = [cell for cell in undisturbed if cell["partition"] == partition]
        blocks += [f"**{partition}**", main_grid(here)]
    blocks += [_what_is_what(first), baseline_grid(record["results"]["baselines"])]
    blocks += linear_blocks(record["results"].get("linear", [])) + _worth(first)
    blocks += _readings(first, partitions[0])
    blocks += _robustness(cells, partitions[0]) + _personalisation(record)
    blocks += [
        DETAILS,
        "A newcomer took part in no round. The worst client is the one whose model is right "
        "least often; a shared model serves all alike. Bytes of all rounds and clients together, "
        "as payloads and as messages; and the most of one client in one round.",
        people_grid(cells),
        "Every round: payload of one client (down, up) in that round, and of the result after it; "
        "messages as Flower serialises them, all clients.",
        _rounds(cells),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _head(record: Mapping[str, Any], cells: Cells) -> list[str]:
    """What was compared, on which texts, and how bytes, steps and seconds are counted."""
    config = record["config"]
    widest = max((cell["accuracy"] for cell in cells), key=lambda accuracy: accuracy["n"])
    classes = record["provenance"]["dataset"]["classes"]
    return [
        f"# What to send{on_task(record)}: {models_of(record)}, {config['clients']} clients, "
        f"{config['repeats']} repeats",
        QUICK if config["quick"] else "",
        f"Mean accuracy (95 % interval over test texts and repeats). {test_line(widest, classes)}. "
        "Bytes are payloads of one client as they were serialised: down in all rounds and once "
        f"more the result at the end, and up; the weights {_whose(config)}in fp32 are "
        f"{record['results']['fp32_model_bytes']:,} bytes. Steps and seconds are one client's, on "
        "one thread; steps are those of the rounds, seconds include making the model at the end. "
        "\\* by its mean, nothing that sends fewer bytes is as accurate (the bounds, which send "
        "nothing, are left out)." + (_ABOUT_LINEAR if _has_linear(cells) else "") + _bodies(cells),
    ]


def _readings(cells: Cells, partition: str) -> list[str]:
    """Budgets, targets and links, of one partition's cells."""
    return [
        f"**The best within a byte budget** (one client, down and up; {partition}):",
        budget_grid(cells),
        *_budgets_with_bodies(cells, partition),
        f"**The fewest bytes to a target accuracy** ({partition}):",
        target_grid(cells),
        *_links(cells, partition),
        verdicts(cells),
    ]


def _whose(config: Mapping[str, Any]) -> str:
    return f"of {config['model']} " if "," in (config.get("models") or "") else ""


def _budgets_with_bodies(cells: Cells, partition: str) -> list[str]:
    if not any(cell.get("body_bytes") for cell in cells):
        return []
    return [
        f"**The same with the download of the body counted** ({partition}):",
        budget_grid(cells, with_bodies=True),
    ]


def _links(cells: Cells, partition: str) -> list[str]:
    """Seconds to every target that a row reaches, or that none reaches the lowest."""
    grids = [link_grid(cells, target) for target in TIMED]
    reached = [n for n, one in enumerate(grids) if n == 0 or one.startswith("|")]
    return [
        block
        for number in reached
        for block in (
            f"**Seconds until a client has a model of {100 * TIMED[number]:.0f} %, by link "
            f"speed** ({partition}; bytes and one client's computing, no latency; clients work at "
            "the same time):",
            grids[number],
        )
    ]


def _bodies(cells: Cells) -> str:
    """What published bodies are, where there are any."""
    sizes = {cell["model"]: cell["body_bytes"] for cell in cells if cell.get("body_bytes")}
    said = " and ".join(f"{model} {size(count)}" for model, count in sizes.items())
    return (
        f" A published body's own download ({said} in fp32) is left out, for most who use one have "
        "it; where it is counted, that is said."
        if sizes
        else ""
    )


def _worth(cells: Cells) -> list[str]:
    """Which rows know more than a linear model of their bytes, and which do not."""
    if not _has_linear(cells):
        return []
    groups: dict[str, list[str]] = {"above": [], "about at": [], "below": []}
    for cell in cells:
        linear = cell.get("linear_of_equal_bytes")
        if linear is not None:
            low, high = cell["accuracy"]["ci95"]
            where = "above" if low > linear["value"] else "below"
            groups["about at" if low <= linear["value"] <= high else where].append(series_of(cell))
    said = [f"{where} it: {', '.join(rows)}" for where, rows in groups.items() if rows]
    return [
        "Bytes are worth more than in a linear model where a row's whole interval lies above it. "
        f"{'; '.join(said).capitalize()}."
    ]


def _robustness(cells: Cells, partition: str) -> list[str]:
    if all(cell["condition"] is None for cell in cells):
        return []
    return [
        "**Robustness** (30 % of the replies lost; or one client whose labels are flipped):",
        robustness_grid(cells, partition),
    ]


def _personalisation(record: Mapping[str, Any]) -> list[str]:
    adapted = [cell for cell in record["results"]["cells"] if cell["personalization"]]
    if not adapted:
        return []
    tests = adapted[0]["personalization"]["clients"][0]["before"]["n"]
    return [
        "**Personalisation** (every client adapts the final model to its own texts for "
        f"{record['config']['personalize']} steps; accuracy by the client's own class mix on "
        f"{tests:,} test texts, mean "
        "over clients and repeats, beside always answering the client's largest class"
        f"{_untested(adapted)}):",
        personal_grid(adapted),
    ]


def _untested(adapted: Cells) -> str:
    """A note if a client has texts of a class of which none was tested."""
    clients = [client for cell in adapted for client in cell["personalization"]["clients"]]
    untested = any(
        labels and not tests
        for client in clients
        for labels, tests in zip(client["labels"], client["before"]["class_counts"], strict=True)
    )
    return "; classes without a test text are left out" if untested else ""


def main_grid(cells: Cells) -> str:
    """One line a row."""
    beside = _has_linear(cells)
    linear = ["linear\\*\\*"] if beside else []
    head = ("row", "accuracy", "down", "up", *linear, "steps", "seconds")
    return grid(head, [_line(cell, beside) for cell in cells])


def _has_linear(cells: Cells) -> bool:
    """Whether the linear models of equal bytes were measured; older records have none."""
    return any(cell.get("linear_of_equal_bytes") for cell in cells)


def _line(cell: Mapping[str, Any], beside: bool) -> list[str]:
    mark = " \\*" if cell["pareto"] else ""
    seconds = cell["client_seconds"] + cell["making_seconds"]
    return [
        series_of(cell) + mark, with_interval(cell["accuracy"]), *map(size, client_bytes(cell)),
        *([_linear(cell)] if beside else []), f"{cell['client_steps']:,.0f}", f"{seconds:,.0f}",
    ]  # fmt: skip


def _linear(cell: Mapping[str, Any]) -> str:
    """What a linear model of the row's bytes is right on."""
    linear = cell.get("linear_of_equal_bytes")
    return "-" if linear is None else percent(linear["value"])


def people_grid(cells: Cells) -> str:
    """What a newcomer and the worst-served client have, and exact bytes."""
    rows = []
    for cell in cells:
        most = cell["payload_bytes"]["per_client_round_max"]
        rows.append([
            series_of(cell), cell["partition"], cell["condition"] or "-",
            with_interval(cell["newcomers"]), with_interval(cell["worst_client"]),
            *(f"{cell['payload_bytes'][way]:,.0f}" for way in ("down", "up")),
            *(f"{cell['message_bytes'][way]:,.0f}" for way in ("down", "up")),
            *(f"{most[way]:,.0f}" for way in ("down", "up")),
        ])  # fmt: skip
    head = ("row", "partition", "condition", "newcomer", "worst client", "payload down",
            "payload up", "messages down", "messages up", "most down", "most up")  # fmt: skip
    return grid(head, rows)


def _what_is_what(cells: Cells) -> str:
    """Names and what they stand for; and on how many texts the means of many models are."""
    lines = [f"{series_of(cell)}: {cell['description']}" for cell in cells]
    few = [cell for cell in cells if cell["accuracy"]["n"] < cell["newcomers"]["n"]]
    note = ""
    if few:
        names = " and ".join(series_of(cell) for cell in few)
        note = (
            f" The accuracy of {names} is the mean of the clients' own models on "
            f"{few[0]['accuracy']['n']:,} of the test texts."
        )
    return "; ".join(lines) + "." + note


def _rounds(cells: Cells) -> str:
    rows = []
    for cell in cells:
        for one in cell["rounds"]:
            accuracy = one["accuracy"]
            rows.append([
                series_of(cell), cell["partition"], cell["condition"] or "-", str(one["round"]),
                with_interval(accuracy) if accuracy else "-",
                *(f"{one['client_payload_bytes'][way]:,.0f}" for way in ("down", "up")),
                f"{one['result_bytes']:,.0f}",
                *(f"{one['message_bytes'][way]:,.0f}" for way in ("down", "up")),
                f"{one['usable_replies']:.0f}", f"{one['client_seconds']:.1f}",
            ])  # fmt: skip
    head = ("row", "partition", "condition", "round", "accuracy", "down", "up", "result",
            "messages down", "messages up", "replies", "seconds")  # fmt: skip
    return grid(head, rows)
