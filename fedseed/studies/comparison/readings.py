"""A comparison read in several ways: budgets, targets, links, robustness; from the record alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fedseed.evaluation.costs import LINKS
from fedseed.evaluation.frontier import (
    BUDGETS,
    TARGETS,
    Point,
    break_even_speed,
    cheapest,
    client_bytes,
    points,
    quickest,
    series_of,
    within_budget,
)
from fedseed.evaluation.repeats import paired
from fedseed.results.markdown import grid, interval_in_points, size, speed, with_interval
from fedseed.results.markdown import points as in_points
from fedseed.results.table import percent

Cells = Sequence[Mapping[str, Any]]


def budget_grid(cells: Cells, with_bodies: bool = False) -> str:
    """The most accurate row within each budget; see :func:`points` for bodies."""
    all_points = points(cells, with_bodies)
    rows = []
    for name, most in BUDGETS.items():
        best = within_budget(all_points, most)
        rows.append([name, *(["nothing", "", ""] if best is None else _best(best))])
    return grid(("at most", "row", "accuracy", "bytes used"), rows)


def _best(best: Point) -> list[str]:
    where = f"{best.row}, round {best.round}"
    return [where, percent(best.accuracy), size(best.payload_bytes)]


def target_grid(cells: Cells) -> str:
    """Bytes and steps of one client to each target, by row."""
    all_points = points(cells)
    rows = []
    for row in dict.fromkeys(point.row for point in all_points):
        to_target = [cheapest(all_points, row, target) for target in TARGETS]
        if any(to_target):
            rows.append([row, *(_cost(point) for point in to_target)])
    head = ("row", *(f"{100 * target:.0f} %" for target in TARGETS))
    return grid(head, rows) if rows else "No row reaches the lowest target."


def _cost(point: Point | None) -> str:
    return (
        "not reached" if point is None else f"{size(point.payload_bytes)}, {point.steps:.0f} steps"
    )


def link_grid(cells: Cells, target: float) -> str:
    """Seconds to a target, by row and link speed."""
    all_points, bodies = points(cells), [cell for cell in cells if cell.get("body_bytes")]
    for point in points(bodies, with_bodies=True):
        all_points.append(replace(point, row=f"{point.row}, body downloaded"))
    rows = []
    for row in dict.fromkeys(point.row for point in all_points):
        soonest = [quickest(all_points, row, target, bits) for bits in LINKS.values()]
        if soonest[0] is not None:
            seconds = [p.time(bits) for p, bits in zip(soonest, LINKS.values(), strict=True) if p]
            rows.append([row, *(f"{value:,.0f}" for value in seconds)])
    return grid(("row", *LINKS), rows) if rows else f"No row reaches {100 * target:.0f} %."


def verdicts(cells: Cells) -> str:
    """Below which link speed rows beat sending their model's weights, at targets both reach.

    A published body is there, or is downloaded either way.
    """
    lines = []
    for heavy in _weights(cells):
        of_model = [cell for cell in cells if cell.get("model") == heavy.get("model")]
        lines += _against(series_of(heavy), points(of_model))
    return " ".join(lines) or "No row of fewer bytes reaches a target that weights reach."


def _weights(cells: Cells) -> list[Mapping[str, Any]]:
    """Of every model the plain row of weights, or else that of most bytes."""
    by_model: dict[Any, Mapping[str, Any]] = {}
    for cell in sorted(cells, key=lambda c: (c["row"] == "weights", sum(client_bytes(c)))):
        if cell["protocol"] == "weights":
            by_model[cell.get("model")] = cell
    return list(by_model.values())


def _against(heavy: str, all_points: Sequence[Point]) -> list[str]:
    lines, called = [], "fp32 weights" if heavy == "weights" else heavy
    for target in TARGETS:
        most = cheapest(all_points, heavy, target)
        for row in dict.fromkeys(point.row for point in all_points):
            light = cheapest(all_points, row, target)
            if most is None or light is None or light.payload_bytes >= most.payload_bytes:
                continue
            below = break_even_speed(light, most)
            where = "on every link" if below is None else f"on links below {speed(below)}"
            lines.append(f"To {100 * target:.0f} %, {row} is quicker than {called} {where}.")
    return lines


def robustness_grid(cells: Cells, partition: str) -> str:
    """Accuracy without and with each condition; paired, for repeats share their shards."""
    here = [cell for cell in cells if cell["partition"] == partition]
    conditions = list(dict.fromkeys(c["condition"] for c in here if c["condition"]))
    rows = []
    for row in dict.fromkeys(series_of(c) for c in here if c["condition"]):
        by_condition = {c["condition"]: c["accuracy"] for c in here if series_of(c) == row}
        undisturbed = by_condition[None]
        changes = [_change(by_condition.get(name), undisturbed) for name in conditions]
        rows.append([row, with_interval(undisturbed), *changes])
    return grid(("row", "undisturbed", *conditions), rows)


def _change(accuracy: Mapping[str, Any] | None, undisturbed: Mapping[str, Any]) -> str:
    """Accuracy under a condition, and the paired difference to that without it."""
    if accuracy is None:
        return "-"
    change = paired(accuracy["repeats"], undisturbed["repeats"])
    return (
        f"{with_interval(accuracy)}, {in_points(change['difference'])} points "
        f"({interval_in_points(change['ci95'])})"
    )


def personal_grid(cells: Cells) -> str:
    """What adapting the final model gained."""
    rows = []
    for cell in cells:
        personal = cell["personalization"]
        clients = personal["clients"]
        before, after = (
            sum(client[name]["value"] for client in clients) / len(clients)
            for name in ("before", "after")
        )
        largest = sum(client["after"]["majority_baseline"] for client in clients) / len(clients)
        gains, mean_gain = sorted(client["gain"] for client in clients), personal["mean_gain"]
        rows.append([
            series_of(cell), cell["partition"], percent(before), percent(after), percent(largest),
            f"{in_points(mean_gain['value'])} ({interval_in_points(mean_gain['ci95'])})",
            f"{in_points(gains[0])} to {in_points(gains[-1])}",
            percent(personal["clients_that_gain"]),
        ])  # fmt: skip
    head = ("row", "partition", "before", "after", "own largest class", "gain, points",
            "by client", "clients that gain")  # fmt: skip
    return grid(head, rows)
