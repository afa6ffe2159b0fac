"""Accounting: what repeated noise costs in privacy (epsilon, delta), and what noise a budget asks.

Three mechanisms are accounted for:

- the Gaussian mechanism, by its exact curve (Balle and Wang 2018, arXiv 1805.06530, theorem 8);
- the same on a Poisson sample of the examples, as in DP-SGD (Abadi et al. 2016), through Google's
  ``dp-accounting``: privacy loss distributions, under which the composition is tight
  (Koskela et al. 2020; Doroshenko et al. 2022), or Renyi divergences where epsilon is so large that
  those distributions no longer fit in memory;
- randomised response, by the exact composition of (epsilon, 0) mechanisms (Kairouz, Oh and
  Viswanath 2015, theorem 3.3).

A noise multiplier is the standard deviation in units of the sensitivity: the most that the
protected unit can move the sum that is noised, in L2 norm.
"""

import functools
import math

from fedseed.privacy.search import below, edge, smallest

_MOST_EXACT = 50.0
"""Epsilon from which the Renyi bound is good enough: it protects from nothing."""
_ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 384, 512, 1024)
"""Renyi orders; whole ones, whose divergences are finite sums."""
MOST_NOISE = 1e6
"""A multiplier beyond which there is nothing left."""


@functools.lru_cache(maxsize=4096)
def spent(noise: float, rate: float, steps: int, delta: float) -> float:
    """Epsilon of some steps of the Gaussian mechanism, each on a Poisson sample.

    Neighbours differ by one example that is added or removed.

    Args:
        noise: noise multiplier, at least 0.
        rate: probability that an example is in a step's sample, in (0, 1].
        steps: number of steps, at least 0.
        delta: in (0, 1).

    Returns:
        Epsilon, an upper bound; infinity without noise, 0 without a step.
    """
    if steps == 0:
        return 0.0
    if noise <= 0:
        return math.inf
    if rate >= 1:
        # Steps on everything compose to one step with less noise, exactly.
        return _gaussian_spent(noise / math.sqrt(steps), delta)
    bound = renyi_spent(noise, rate, steps, delta)
    if bound > _MOST_EXACT:
        return bound
    return min(bound, _exact(noise, rate, steps, delta))


@functools.lru_cache(maxsize=256)
def calibrate(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The smallest noise multiplier, to three digits, that keeps some steps within a budget.

    Args:
        epsilon: the budget, above 0.
        delta: in (0, 1).
        rate: as in :func:`spent`.
        steps: number of steps, at least 1.

    Returns:
        Noise whose :func:`spent` is at most epsilon; infinity when a million would not do.
    """

    def cheap(noise: float) -> float:
        return renyi_spent(noise, rate, steps, delta) if rate < 1 else spent(noise, 1, steps, delta)

    def dear(noise: float) -> float:
        return spent(noise, rate, steps, delta)

    # The Renyi bound costs milliseconds and is near: distributions are computed close to it only.
    high = 1.0
    while cheap(high) > epsilon:
        high *= 2
        if high > MOST_NOISE:
            return math.inf
    high = smallest(cheap, epsilon, below(cheap, epsilon, high), high)
    low = below(dear, epsilon, high, 0.9)
    return smallest(dear, epsilon, low, high)


def randomised_response_spent(epsilon_each: float, answers: int, delta: float) -> float:
    """Epsilon of so many randomised answers, each of which alone has ``epsilon_each``.

    Neighbours are any two tuples of true answers: all of a client's answers are protected. The
    bound is exact for binary answers and holds for any (epsilon_each, 0) mechanism, so for more
    classes as well.

    Args:
        epsilon_each: of one answer, at least 0.
        answers: number of answers, at least 0.
        delta: in (0, 1).
    """
    basic = epsilon_each * answers
    if basic == 0 or _response_delta(epsilon_each, answers, 0.0) <= delta:
        return 0.0
    return edge(lambda e: _response_delta(epsilon_each, answers, e) <= delta, basic, 0.0, 1e-6)


@functools.lru_cache(maxsize=256)
def calibrate_randomised_response(epsilon: float, delta: float, answers: int) -> float:
    """The largest epsilon that each of so many answers may have within a budget.

    Args:
        epsilon: the budget of all answers, above 0.
        delta: in (0, 1).
        answers: number of answers, at least 1.

    Returns:
        Epsilon of one answer; at least ``epsilon / answers``, which basic composition allows.
    """
    low, high = epsilon / answers, epsilon
    # A single answer with more than epsilon could still be within (epsilon, delta).
    while _response_delta(high, answers, epsilon) <= delta:
        low, high = high, 2 * high
    return edge(lambda e: _response_delta(e, answers, epsilon) <= delta, low, high, 1e-4)


def gaussian_delta(noise: float, epsilon: float) -> float:
    """Delta of one Gaussian mechanism (Balle and Wang 2018, theorem 8).

    Args:
        noise: noise multiplier, above 0.
        epsilon: at least 0.
    """
    from scipy.special import log_ndtr

    half, shift = 1 / (2 * noise), epsilon * noise
    first, second = float(log_ndtr(half - shift)), float(log_ndtr(-half - shift))
    # exp(epsilon) may be beyond the numbers where its product is not.
    return max(0.0, math.exp(first) - math.exp(min(0.0, epsilon + second)))


def _gaussian_spent(noise: float, delta: float) -> float:
    low, high = 0.0, 1.0
    if gaussian_delta(noise, low) <= delta:
        return 0.0
    while gaussian_delta(noise, high) > delta:
        low, high = high, 2 * high
    return edge(lambda e: gaussian_delta(noise, e) <= delta, high, low, 1e-9)


def renyi_spent(noise: float, rate: float, steps: int, delta: float) -> float:
    """As :func:`spent`, by Renyi divergences alone: cheap, and a little more."""
    from dp_accounting import rdp

    accountant = rdp.RdpAccountant(_ORDERS)
    accountant.compose(_event(noise, rate, steps))
    return float(accountant.get_epsilon(delta))


def _exact(noise: float, rate: float, steps: int, delta: float) -> float:
    from dp_accounting import pld

    # Little noise makes wide distributions: the coarser grid adds less than 0.001 to their epsilon.
    grid = 1e-3 if noise < 1 and steps <= 10_000 else 1e-4
    accountant = pld.PLDAccountant(value_discretization_interval=grid)
    accountant.compose(_event(noise, rate, steps))
    return float(accountant.get_epsilon(delta))


def _event(noise: float, rate: float, steps: int) -> object:
    import dp_accounting

    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    return dp_accounting.SelfComposedDpEvent(step, steps)


def _response_delta(epsilon_each: float, answers: int, epsilon: float) -> float:
    """Delta of the composed answers at an epsilon.

    Binary answers that are kept with probability p = e^eps / (1 + e^eps): of n, i are kept, and the
    privacy loss is (2 i - n) eps.
    """
    import numpy as np
    from scipy.stats import binom

    least = math.floor((answers + epsilon / epsilon_each) / 2)
    kept = np.arange(max(0, least), answers + 1)
    loss = (2.0 * kept - answers) * epsilon_each
    shares = binom.pmf(kept, answers, 1 / (1 + math.exp(-epsilon_each)))
    return float((shares * -np.expm1(np.minimum(0.0, epsilon - loss))).sum())
