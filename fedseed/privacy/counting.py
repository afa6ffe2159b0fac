"""Accounting of counts: whole numbers that are told once, under discrete Gaussian noise.

Noise is accounted for by Google's ``dp-accounting``. A sum of several clients' noise is not quite a
discrete Gaussian: what that may cost is added (Kairouz, Liu and Steinke 2021, arXiv 2102.06387,
section 3). docs/decisions/sums.md says what is proven, line by line.
"""

import functools
import math
from dataclasses import dataclass

from fedseed.privacy.accounting import MOST_NOISE, calibrate, renyi_spent
from fedseed.privacy.search import below, rounded, smallest


@dataclass(frozen=True)
class OfNumbers:
    """Neighbours differ in some numbers, each by 1 at most; noise is a standard deviation."""

    numbers: int
    """How many, at least 1."""

    @property
    def norm(self) -> float:
        """L2 norm of the difference."""
        return math.sqrt(self.numbers)

    def deviation(self, noise: float) -> float:
        """Standard deviation of the sum's noise."""
        return noise

    def spent(self, noise: float, delta: float, off: float) -> float:
        """Epsilon: that of so many mechanisms of one number, composed by their distributions."""
        from dp_accounting.pld import privacy_loss_distribution as pld

        one = pld.from_discrete_gaussian_mechanism(noise, value_discretization_interval=1e-4)
        exact = one.self_compose(self.numbers).get_epsilon_for_delta(delta)
        return float(exact) + 2 * self.numbers * off


@dataclass(frozen=True)
class OfNorm:
    """Neighbours differ by a vector of whole numbers; noise is in units of its norm."""

    norm: float
    """Largest L2 norm of the vector, above 0."""

    def deviation(self, noise: float) -> float:
        """Standard deviation of the sum's noise."""
        return noise * self.norm

    def spent(self, noise: float, delta: float, off: float) -> float:
        """Epsilon: that of a Gaussian's Renyi divergences, which a discrete Gaussian's are below.

        At most norm^2 whole numbers differ, so the square root of how many is at most the norm.
        """
        return renyi_spent(1 / (1 / noise + off * self.norm), 1.0, 1, delta)


Counted = OfNumbers | OfNorm
"""What of the numbers is bounded."""


def counting_spent(noise: float, bound: Counted, delta: float, share: float = 1.0) -> float:
    """Epsilon of whole numbers that are told once, each with discrete Gaussian noise.

    Args:
        noise: of the sum, in the bound's unit, at least 0.
        bound: how far neighbours are apart.
        delta: in (0, 1).
        share: of the variance that each client adds, in (0, 1].

    Returns:
        Epsilon, an upper bound; infinity without noise.
    """
    if noise <= 0:
        return math.inf
    return bound.spent(noise, delta, off_gaussian(bound.deviation(noise), share))


@functools.lru_cache(maxsize=256)
def calibrate_counting(epsilon: float, delta: float, bound: Counted, share: float = 1.0) -> float:
    """The smallest noise, to three digits, with which whole numbers cost at most a budget.

    Args:
        epsilon: the budget, above 0.
        delta: in (0, 1).
        bound: how far neighbours are apart.
        share: of the variance that each client adds.
    """

    def cost(noise: float) -> float:
        return counting_spent(noise, bound, delta, share)

    first = bound.norm / bound.deviation(1.0) * calibrate(epsilon, delta, 1.0, 1)
    if first > MOST_NOISE:
        return math.inf
    high = rounded(first)
    while cost(high) > epsilon:
        high = rounded(high * 1.1)
        if high > MOST_NOISE:
            return math.inf
    return smallest(cost, epsilon, below(cost, epsilon, high, 0.9), high)


def off_gaussian(deviation: float, share: float) -> float:
    """How far a sum's log probabilities are from a discrete Gaussian's, at most.

    Args:
        deviation: of the sum's noise.
        share: of its variance that each client adds.
    """
    clients = round(1 / share)
    own = deviation * deviation * share
    terms = (math.exp(-2 * math.pi**2 * own * k / (k + 1)) for k in range(1, clients))
    return 10 * sum(terms)
