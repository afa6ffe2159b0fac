"""Discrete Gaussian noise: its distribution, its sums, and what they cost."""

import math

import numpy as np
import pytest
from scipy.stats import chisquare

from fedseed.privacy.accounting import spent
from fedseed.privacy.counting import (
    OfNorm,
    OfNumbers,
    calibrate_counting,
    counting_spent,
    off_gaussian,
)
from fedseed.privacy.mechanisms import discrete_gaussian

DELTA = 1e-5


def exact(deviation: float, furthest: int) -> np.ndarray:
    values = np.arange(-furthest, furthest + 1)
    often = np.exp(-0.5 * np.square(values / deviation))
    found: np.ndarray = often / often.sum()
    return found


def test_the_noise_is_a_discrete_gaussian() -> None:
    for deviation in (0.4, 1.5, 30.0):
        drawn = discrete_gaussian(deviation, 200_000, np.random.default_rng(1))
        assert drawn.mean() == pytest.approx(0, abs=4 * deviation / math.sqrt(2e5))
        reach = max(1, round(2 * deviation))
        seen = np.bincount(np.clip(drawn + reach + 1, 0, 2 * reach + 2), minlength=2 * reach + 3)
        inner = exact(deviation, math.ceil(12 * deviation))
        middle = len(inner) // 2
        expected = inner[middle - reach : middle + reach + 1]
        tail = (1 - expected.sum()) / 2
        shares = np.concatenate([[tail], expected, [tail]]) * len(drawn)
        kept = shares > 5
        often = shares[kept] * seen[kept].sum() / shares[kept].sum()
        assert chisquare(seen[kept], often).pvalue > 1e-4
    assert discrete_gaussian(0.0, 3, np.random.default_rng(0)).tolist() == [0, 0, 0]


def test_one_number_costs_what_its_distribution_says() -> None:
    """Epsilon of dp-accounting against the definition of (epsilon, delta), summed up."""
    for noise in (0.8, 3.0):
        epsilon = counting_spent(noise, OfNumbers(1), DELTA)
        often = exact(noise, 80)
        excess = often[1:] - math.exp(epsilon) * often[:-1]
        assert excess[excess > 0].sum() == pytest.approx(DELTA, rel=0.02)


def test_many_numbers_cost_about_what_a_gaussian_of_their_norm_does() -> None:
    for numbers in (16, 66):
        found = counting_spent(9.0, OfNumbers(numbers), DELTA)
        assert found == pytest.approx(spent(9.0 / math.sqrt(numbers), 1, 1, DELTA), rel=0.02)


@pytest.mark.parametrize("bound", [OfNumbers(34), OfNorm(30.0)])
@pytest.mark.parametrize("epsilon", [0.5, 4.0])
def test_calibration_is_tight(epsilon: float, bound: OfNumbers | OfNorm) -> None:
    noise = calibrate_counting(epsilon, DELTA, bound, 1 / 7)
    assert float(f"{noise:.3g}") == noise
    assert counting_spent(noise, bound, DELTA, 1 / 7) <= epsilon
    assert counting_spent(noise * 0.98, bound, DELTA, 1 / 7) > epsilon
    assert counting_spent(0.0, bound, DELTA) == math.inf


def test_half_the_noise_is_not_within_the_budget() -> None:
    """What a wrong accountant would let pass."""
    noise = calibrate_counting(1.0, DELTA, OfNumbers(66))
    assert counting_spent(noise / 2, OfNumbers(66), DELTA) > 1.9


@pytest.mark.parametrize(("deviation", "clients"), [(0.5, 3), (0.7, 7), (1.0, 20)])
def test_a_sum_is_nearly_a_discrete_gaussian(deviation: float, clients: int) -> None:
    """The bound of Kairouz, Liu and Steinke on the ratio of probabilities, by convolution."""
    one = exact(deviation, 14)
    total = one
    for _ in range(clients - 1):
        total = np.convolve(total, one)
    whole = deviation * math.sqrt(clients)
    ideal = exact(whole, len(total) // 2)
    near = np.abs(np.arange(len(total)) - len(total) // 2) <= 5 * whole
    bound, five = off_gaussian(whole, 1 / clients), OfNumbers(5)
    assert np.abs(np.log(total[near] / ideal[near])).max() <= bound
    assert counting_spent(whole, five, DELTA, 1 / clients) > counting_spent(whole, five, DELTA)


def test_a_norm_costs_a_little_more_than_an_exact_gaussian() -> None:
    for noise in (0.6, 2.0):
        exact = spent(noise, 1, 1, DELTA)
        assert exact < counting_spent(noise, OfNorm(30.0), DELTA) < 1.1 * exact + 0.5
    many = 1 / 600  # each adds less than one unit of noise
    assert counting_spent(0.6, OfNorm(30.0), DELTA, many) > counting_spent(0.6, OfNorm(30.0), DELTA)
