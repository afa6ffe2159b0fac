"""A comparison read in several ways: budgets, targets, links, robustness; from the record alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.evaluation.costs import LINKS
from fedseed.evaluation.frontier import (
    BUDGETS,
    TARGETS,
    Point,
    break_even_speed,
    cheapest,
    points,
    quickest,
    within_budget,
)
from fedseed.evaluation.repeats import paired
from fedseed.results.markdown import grid, interval_in_points, with_interval
from fedseed.results.markdown import points as in_points
from fedseed.results.table import percent
from fedseed.studies.budget.table import speed

Cells = Sequence[Mapping[str, Any]]


def size(count: float) -> str:
    """Bytes with a unit that suits them."""
    for limit, unit in ((1e6, "MB"), (1e3, "KB")):
        if count >= limit:
            return f"{count / limit:,.1f} {unit}"
    return f"{count:,.0f} B"


def budget_grid(cells: Cells) -> str:
    """The most accurate row within each budget."""
    found = points(cells)
    rows = []
    for name, most in BUDGETS.items():
        best = within_budget(found, most)
        rows.append([name, *(["nothing", "", ""] if best is None else _best(best))])
    return grid(("at most", "row", "accuracy", "bytes used"), rows)


def _best(best: Point) -> list[str]:
    where = f"{best.row}, round {best.round}"
    return [where, percent(best.accuracy), size(best.payload_bytes)]


def target_grid(cells: Cells) -> str:
    """Bytes and steps of one client to each target, by row."""
    found = points(cells)
    rows = []
    for row in dict.fromkeys(point.row for point in found):
        own = [cheapest(found, row, target) for target in TARGETS]
        if any(own):
            rows.append([row, *(_cost(point) for point in own)])
    head = ("row", *(f"{100 * target:.0f} %" for target in TARGETS))
    return grid(head, rows) if rows else "No row reaches the lowest target."


def _cost(point: Point | None) -> str:
    return (
        "not reached" if point is None else f"{size(point.payload_bytes)}, {point.steps:.0f} steps"
    )


def link_grid(cells: Cells, target: float) -> str:
    """Seconds to a target, by row and link speed."""
    found = points(cells)
    rows = []
    for row in dict.fromkeys(point.row for point in found):
        times = [quickest(found, row, target, bits) for bits in LINKS.values()]
        if times[0] is not None:
            seconds = [p.time(bits) for p, bits in zip(times, LINKS.values(), strict=True) if p]
            rows.append([row, *(f"{value:,.0f}" for value in seconds)])
    return grid(("row", *LINKS), rows) if rows else f"No row reaches {100 * target:.0f} %."


def verdicts(cells: Cells) -> str:
    """Below which link speed each row beats sending weights, at each target that both reach."""
    found, lines = points(cells), []
    for target in TARGETS:
        heavy = cheapest(found, "weights", target)
        if heavy is None:
            continue
        for row in dict.fromkeys(point.row for point in found):
            own = cheapest(found, row, target)
            if own is None or row == "weights" or own.payload_bytes >= heavy.payload_bytes:
                continue
            below = break_even_speed(own, heavy)
            where = "on every link" if below is None else f"on links below {speed(below)}"
            lines.append(f"To {100 * target:.0f} %, {row} is quicker than fp32 weights {where}.")
    return " ".join(lines) or "No row of fewer bytes reaches a target that fp32 weights reach."


def robustness_grid(cells: Cells, partition: str) -> str:
    """Accuracy without and with each condition; paired, for repeats share their shards."""
    here = [cell for cell in cells if cell["partition"] == partition]
    conditions = list(dict.fromkeys(c["condition"] for c in here if c["condition"]))
    rows = []
    for name in dict.fromkeys(c["protocol"] for c in here if c["condition"]):
        own = {cell["condition"]: cell for cell in here if cell["protocol"] == name}
        plain = own[None]["accuracy"]
        line = [name, with_interval(plain)]
        for condition in conditions:
            if condition not in own:
                line.append("-")
                continue
            found = own[condition]["accuracy"]
            change = paired(found["repeats"], plain["repeats"])
            line.append(
                f"{with_interval(found)}, {in_points(change['difference'])} points "
                f"({interval_in_points(change['ci95'])})"
            )
        rows.append(line)
    return grid(("row", "undisturbed", *conditions), rows)


def personal_grid(cells: Cells) -> str:
    """What adapting the final model gained."""
    rows = []
    for cell in cells:
        own = cell["personalization"]
        count = len(own["clients"])
        before, after = (
            sum(client[name]["value"] for client in own["clients"]) / count
            for name in ("before", "after")
        )
        largest = sum(client["after"]["majority_baseline"] for client in own["clients"]) / count
        gains = sorted(client["gain"] for client in own["clients"])
        rows.append([
            cell["protocol"], cell["partition"], percent(before), percent(after), percent(largest),
            f"{in_points(own['mean_gain']['value'])} "
            f"({interval_in_points(own['mean_gain']['ci95'])})",
            f"{in_points(gains[0])} to {in_points(gains[-1])}", percent(own["clients_that_gain"]),
        ])  # fmt: skip
    head = ("row", "partition", "before", "after", "own largest class", "gain, points",
            "by client", "clients that gain")  # fmt: skip
    return grid(head, rows)
