"""Where names stand in a picture so that they hide neither points nor each other."""

from collections.abc import Sequence
from typing import NamedTuple

_LETTER, _HEIGHT = 4.7, 11.0
"""Of a name in a font of 8 points, in points of the page."""
_MARKER = 7.0
_NEAR = [(0, 20), (0, -22), (0, 34), (0, -36)]
_ASIDE = [(x * side, y) for y in (26, -28, 44, -46) for x in (38, 60) for side in (1, -1)]
OFFSETS: Sequence[tuple[int, int]] = (*_NEAR, *_ASIDE, (0, 62), (0, -64), (70, 70), (-70, -70))
"""From a point to the middle of its name, the nearest first."""


class Box(NamedTuple):
    """A rectangle, in points of the page."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


def place(
    names: Sequence[str], points: Sequence[tuple[float, float]],
    others: Sequence[tuple[float, float]], page: tuple[float, float],
) -> list[tuple[int, int]]:  # fmt: skip
    """Choose an offset for each name, one after the other: the first at which it hides nothing.

    Args:
        names: what is written.
        points: which point each belongs to, in points of the page from its lower left corner.
        others: further points that are not to be hidden.
        page: width and height.

    Returns:
        Offsets out of :data:`OFFSETS`; where none is free, the one that hides the least.
    """
    marks = [Box(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in (*points, *others)]
    taken, chosen = list(marks), []
    for name, (x, y) in zip(names, points, strict=True):
        half = _LETTER * len(name) / 2
        boxes = {
            (dx, dy): Box(x + dx - half, y + dy - _HEIGHT / 2, x + dx + half, y + dy + _HEIGHT / 2)
            for dx, dy in OFFSETS
        }
        best = min(boxes, key=lambda offset: _hidden(boxes[offset], taken, page))
        taken.append(boxes[best])
        chosen.append(best)
    return chosen


def _hidden(box: Box, taken: Sequence[Box], page: tuple[float, float]) -> float:
    """Area of other things below a name, and of the name that is not on the page."""
    area = (box.right - box.left) * (box.top - box.bottom)
    inside = box.overlap(Box(0, 0, *page))
    return sum(box.overlap(other) for other in taken) + area - inside
