"""Accounting of counts: whole numbers that are told once, under discrete Gaussian noise.

The noise of one number is accounted for by Google's ``dp-accounting``, whose privacy loss
distributions compose tightly. docs/decisions/sums.md says what is proven, line by line.
"""

import functools
import math

from fedseed.privacy.accounting import MOST_NOISE, calibrate
from fedseed.privacy.search import below, rounded, smallest


def counting_spent(noise: float, numbers: int, delta: float, share: float = 1.0) -> float:
    """Epsilon of whole numbers that are told once, each with discrete Gaussian noise.

    Neighbours differ in some numbers, by 1 at most: the privacy loss is that of as many mechanisms
    of one number, composed exactly. A sum of several clients' noise is not quite a discrete
    Gaussian: what that may cost is added (Kairouz, Liu and Steinke 2021, arXiv 2102.06387,
    section 3).

    Args:
        noise: standard deviation of the noise of the sum, at least 0.
        numbers: that differ, at least 1.
        delta: in (0, 1).
        share: of the variance that each client adds, in (0, 1].

    Returns:
        Epsilon, an upper bound; infinity without noise.
    """
    if noise <= 0:
        return math.inf
    return _counting_exact(noise, numbers, delta) + 2 * numbers * _off_gaussian(noise, share)


@functools.lru_cache(maxsize=256)
def calibrate_counting(epsilon: float, delta: float, numbers: int, share: float = 1.0) -> float:
    """The smallest noise, to three digits, with which whole numbers cost at most a budget.

    Args:
        epsilon: the budget, above 0.
        delta: in (0, 1).
        numbers: see :func:`counting_spent`.
        share: as there.
    """

    def cost(noise: float) -> float:
        return counting_spent(noise, numbers, delta, share)

    high = rounded(math.sqrt(numbers) * calibrate(epsilon, delta, 1.0, 1))
    while cost(high) > epsilon:
        high = rounded(high * 1.1)
        if high > MOST_NOISE:
            return math.inf
    return smallest(cost, epsilon, below(cost, epsilon, high, 0.9), high)


def _counting_exact(noise: float, numbers: int, delta: float) -> float:
    from dp_accounting.pld import privacy_loss_distribution as pld

    one = pld.from_discrete_gaussian_mechanism(noise, value_discretization_interval=1e-4)
    return float(one.self_compose(numbers).get_epsilon_for_delta(delta))


def _off_gaussian(noise: float, share: float) -> float:
    """How far a sum's log probabilities are from a discrete Gaussian's, at most."""
    clients = round(1 / share)
    own = noise * noise * share
    terms = (math.exp(-2 * math.pi**2 * own * k / (k + 1)) for k in range(1, clients))
    return 10 * sum(terms)
