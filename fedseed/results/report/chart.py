"""A chart of values with their intervals, one below the other, as numbers for an SVG template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

WIDTH = 420
"""Of the drawing, in its own units; text is 14 of them high."""
_LEFT, _RIGHT = 8, 412
_LINE, _TOP, _BOTTOM = 42, 8, 44


@dataclass(frozen=True)
class Item:
    """One value of a chart."""

    label: str
    words: str
    """The value and its interval, as text."""
    value: float | None
    """None where only the mark is known."""
    low: float | None = None
    """Lower end of the interval; None without one."""
    high: float | None = None
    mark: float | None = None
    """A second value to compare with, drawn as an upright bar."""


@dataclass(frozen=True)
class Chart:
    """Values on one axis; everything outside its ends is drawn at the end."""

    title: str
    axis: str
    items: Sequence[Item]
    low: float
    high: float
    """Above ``low``."""
    ticks: Sequence[tuple[float, str]]
    """Places on the axis and what stands there."""
    line: tuple[float, str] | None = None
    """A value that all are to be seen against, drawn dashed, with its name."""
    mark: str = ""
    """What the upright bars are."""

    @property
    def description(self) -> str:
        """All values as text, for readers who do not see the picture."""
        listed = "; ".join(f"{item.label}: {item.words}" for item in self.items)
        line = f" The dashed line is {self.line[1]}." if self.line else ""
        return f"{self.axis}. {listed}.{line}"

    @property
    def width(self) -> int:
        """Of the drawing, in its own units."""
        return WIDTH

    @property
    def height(self) -> int:
        """Of the drawing, in its own units."""
        return self.floor + _BOTTOM

    @property
    def floor(self) -> int:
        """Where the axis lies."""
        return _TOP + _LINE * len(self.items) + 6

    def x(self, value: float) -> float:
        """Where a value lies, from the left."""
        share = (value - self.low) / (self.high - self.low)
        return round(_LEFT + min(1.0, max(0.0, share)) * (_RIGHT - _LEFT), 1)

    @property
    def drawn(self) -> "list[Drawn]":
        """Every item with its places."""
        return [self._drawn(number, item) for number, item in enumerate(self.items)]

    @property
    def drawn_ticks(self) -> list[tuple[float, str, str]]:
        """Places of the ticks, their words, and how the words are anchored."""
        places = [(self.x(value), words) for value, words in self.ticks]
        return [(x, words, _anchor(x)) for x, words in places]

    def _drawn(self, number: int, item: Item) -> "Drawn":
        ends = None
        if item.low is not None and item.high is not None:
            ends = self.x(item.low), self.x(item.high)
        return Drawn(
            item, text=_TOP + _LINE * number + 14, middle=_TOP + _LINE * number + 28,
            x=None if item.value is None else self.x(item.value), ends=ends,
            mark=None if item.mark is None else self.x(item.mark),
        )  # fmt: skip


class Drawn(NamedTuple):
    """An item with its places in the drawing."""

    item: Item
    text: float
    middle: float
    x: float | None
    ends: tuple[float, float] | None
    mark: float | None


def _anchor(x: float) -> str:
    if x < _LEFT + 20:
        return "start"
    return "end" if x > _RIGHT - 20 else "middle"
