"""What to send: the Pareto front of accuracy and bytes, budgets, targets, and link speeds.

Readings of one comparison in the three ways of EdgeFlowerTune (arXiv 2605.08636): quality under a
budget, cost to a target, robustness. A point is a row after some round: its mean accuracy, the
payload bytes of one client until it has that model, and its seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedseed.evaluation.costs import transfer_seconds
from fedseed.protocols.start import LEXICON

BUDGETS = {
    "1 KB": 10**3, "10 KB": 10**4, "100 KB": 10**5, "1 MB": 10**6, "10 MB": 10**7,
    "100 MB": 10**8,
}  # fmt: skip
"""Bytes of one client, down and up together."""
TARGETS = (0.75, 0.80, 0.82, 0.85, 0.88)
TIMED = (0.80, 0.85, 0.88)
"""Targets to which times are told by link speed."""


@dataclass(frozen=True)
class Point:
    """A row after some of its rounds."""

    row: str
    round: int
    accuracy: float
    payload_bytes: float
    """Of one client: down and up in all rounds so far, and the result at the end."""
    seconds: float
    """Of one client: training in all rounds so far, and making a model of the result."""
    steps: float
    """Training steps of one client so far."""

    def time(self, bits_per_second: float) -> float:
        """Seconds until a client has this model over such a link; no latency."""
        return self.seconds + transfer_seconds(round(self.payload_bytes), bits_per_second)


def series_of(cell: Mapping[str, Any]) -> str:
    """What a cell is called beside others: its row, and its model where there are several."""
    return str(cell.get("series", cell["row"]))


def client_bytes(cell: Mapping[str, Any]) -> tuple[float, float]:
    """Payload bytes of one client, down (all rounds, and the result at the end) and up."""
    down = sum(one["client_payload_bytes"]["down"] for one in cell["rounds"])
    down += cell["rounds"][-1]["result_bytes"] if cell["rounds"] else 0
    return down, sum(one["client_payload_bytes"]["up"] for one in cell["rounds"])


def points(cells: Sequence[Mapping[str, Any]], with_bodies: bool = False) -> list[Point]:
    """The points of a comparison's cells, which are of one partition and condition.

    Args:
        cells: of the record.
        with_bodies: count a published body's own download as well.
    """
    measured = []
    for cell in cells:
        size = float(cell.get("body_bytes", 0)) if with_bodies else 0.0
        seconds = steps = 0.0
        for one in cell["rounds"]:
            size += sum(one["client_payload_bytes"].values())
            seconds += one["client_seconds"]
            steps += one["steps"]
            if one["accuracy"] is not None:
                measured.append(
                    Point(
                        series_of(cell), one["round"], one["accuracy"]["value"],
                        size + one["result_bytes"],
                        seconds + cell["making_seconds"], steps,
                    )
                )  # fmt: skip
    return measured


def families(cells: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Cells in which something travels, by model and by what their rounds begin from."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        if cell["rounds"]:
            words = LEXICON in (cell.get("start"), cell["protocol"])
            begins = "published" if cell.get("body_bytes") else "words" if words else "random start"
            family = ", ".join(filter(None, (cell.get("model"), begins)))  # older ones name none
            found.setdefault(family, []).append(cell)
    return found


def envelope(all_points: Sequence[Point]) -> list[Point]:
    """The points that are more accurate than everything of fewer bytes, by their bytes."""
    best: list[Point] = []
    for point in sorted(all_points, key=lambda point: (point.payload_bytes, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def pareto(all_points: Sequence[Point]) -> set[str]:
    """Rows whose last point nobody beats: no other row is as accurate with fewer bytes."""
    last = {point.row: point for point in sorted(all_points, key=lambda point: point.round)}
    return {
        name
        for name, point in last.items()
        if not any(
            other.accuracy >= point.accuracy and other.payload_bytes < point.payload_bytes
            for other in last.values()
        )
    }


def within_budget(all_points: Sequence[Point], most: float) -> Point | None:
    """The most accurate point of at most so many bytes; None when nothing is so small."""
    affordable = [point for point in all_points if point.payload_bytes <= most]
    return max(affordable, key=lambda point: point.accuracy, default=None)


def cheapest(all_points: Sequence[Point], row: str, target: float) -> Point | None:
    """A row's point of the fewest bytes that reaches a target; None when none does."""
    reached = [point for point in all_points if point.row == row and point.accuracy >= target]
    return min(reached, key=lambda point: point.payload_bytes, default=None)


def quickest(
    all_points: Sequence[Point], row: str, target: float, bits_per_second: float
) -> Point | None:
    """A row's point that reaches a target soonest over a link; None when none does."""
    reached = [point for point in all_points if point.row == row and point.accuracy >= target]
    return min(reached, key=lambda point: point.time(bits_per_second), default=None)


def break_even_speed(first: Point, second: Point) -> float | None:
    """Link speed below which the first point, of fewer bytes, is there sooner than the second.

    Returns:
        Bits a second; None when the first is sooner on every link, as it needs fewer seconds too.
    """
    saved = second.payload_bytes - first.payload_bytes
    extra = first.seconds - second.seconds
    return None if extra <= 0 else 8 * saved / extra
