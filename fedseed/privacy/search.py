"""Searches along a cost that falls with the noise: edges of a budget, to so many digits."""

import math
from collections.abc import Callable

_STEP = 1.0009
"""Less than from any number of three digits to the next."""
_DIGITS = 3


def edge(within: Callable[[float], bool], inside: float, outside: float, precision: float) -> float:
    """The last number within a bound, from inside, to a share of it; by halving."""
    while abs(outside - inside) > precision * inside:
        middle = (inside + outside) / 2
        if within(middle):
            inside = middle
        else:
            outside = middle
    return inside


def below(cost: Callable[[float], float], epsilon: float, high: float, by: float = 0.5) -> float:
    """Some noise below ``high`` that is too little for the budget."""
    low = rounded(high * by, math.floor)
    while cost(low) <= epsilon:
        low = rounded(low * by, math.floor)
    return low


def smallest(cost: Callable[[float], float], epsilon: float, low: float, high: float) -> float:
    """The smallest noise of three digits within the budget; ``high`` is, ``low`` is not.

    Epsilon is nearly a power of the noise: a line through the bracket's logarithms lands close.
    Every third step halves the bracket, in case it is not.
    """
    aim, tries = math.log(epsilon), 0
    over, under = _logarithm(cost(low)), _logarithm(cost(high))
    while (following := rounded(low * _STEP)) < high:
        tries += 1
        share = (over - aim) / max(over - under, 1e-12) if tries % 3 else 0.5
        middle = rounded(low * (high / low) ** min(max(share, 0.0), 1.0))
        if not low < middle < high:
            middle = following
        found = cost(middle)
        if found <= epsilon:
            high, under = middle, _logarithm(found)
        else:
            low, over = middle, _logarithm(found)
    return high


def _logarithm(epsilon: float) -> float:
    return math.log(min(max(epsilon, 1e-300), 1e300))


def rounded(value: float, to_whole: Callable[[float], int] = math.ceil) -> float:
    """The next number of three digits, upwards or by ``math.floor`` downwards."""
    unit = math.floor(math.log10(value)) - (_DIGITS - 1)
    whole = value / 10.0**unit
    near = round(whole)  # what has three digits already stays
    return float(f"{near if abs(whole - near) < 1e-9 * whole else to_whole(whole)}e{unit}")
