"""Figures as words: a value never stands without its interval and its number of attacks or texts.

Brackets hold the 95 % interval and what it was computed over, as the report says at its top.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fedseed.results.markdown import ONE, interval
from fedseed.results.table import percent

Write = Callable[[float], str]
Mean = Mapping[str, Any] | None
"""A mean of the record: ``value`` and ``ci95``, either of which may be null."""
NONE = "not measured"


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 run``, ``18 runs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def mean(of: Mean, targets: int, write: Write, noun: str = "target") -> str:
    """A mean over targets, with its interval.

    Args:
        of: the mean; nothing, or one without a value, is not measured.
        targets: over how many it was taken.
        write: writes the value and the ends of the interval.
        noun: what the targets are.
    """
    if not has_value(of):
        return NONE
    assert of is not None
    ends = interval(of.get("ci95"), write, " to ")
    words = ends if ends == ONE and targets == 1 else f"{ends}; {count(targets, noun)}"
    if of.get("ci95") is None and targets != 1:
        words = f"no interval; {count(targets, noun)}"
    return f"{write(of['value'])} ({words})"


def has_value(of: Mean) -> bool:
    """Whether there is something to say."""
    return bool(of) and of is not None and of.get("value") is not None


def plain(digits: int) -> Write:
    """Writes numbers with so many digits behind the point."""
    return lambda value: f"{value:.{digits}f}"


def majority(share: float) -> str:
    """The accuracy of always naming the most frequent class."""
    return f"always the most frequent class, {percent(share)}"


def low_end(of: Mean) -> float | None:
    """The lower end of the interval, or the value where there is none; None if not measured."""
    if not has_value(of):
        return None
    assert of is not None
    return float(of["ci95"][0] if of.get("ci95") else of["value"])


def high_end(of: Mean) -> float | None:
    """The upper end, as :func:`low_end`."""
    if not has_value(of):
        return None
    assert of is not None
    return float(of["ci95"][1] if of.get("ci95") else of["value"])


def accuracy(of: Mean) -> str:
    """An accuracy with its interval and the number of test texts."""
    if of is None:
        return NONE
    ends = interval(of.get("ci95"), percent, " to ")
    return f"{percent(of['value'])} ({ends}; n = {of['n']:,})"


def epsilon(value: float | None) -> str:
    """An epsilon in words."""
    return "none" if value is None else f"{value:.2f}"


def listed(words: list[str], last: str = "and") -> str:
    """Words in a row: ``a, b and c``; with semicolons where a word has commas of its own."""
    if len(words) < 2:
        return "".join(words)
    if any("," in word for word in words):
        return "; ".join([*words[:-1], f"{last} {words[-1]}"])
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def probability(value: float) -> str:
    """A small probability: ``1 in 100,000``."""
    return f"1 in {1 / value:,.0f}" if 0 < value < 0.1 else f"{value:g}"


def protected(unit: str) -> str:
    """What a guarantee is about, in plain words."""
    return {"example": "one text", "client": "all texts of one client"}.get(unit, unit)
