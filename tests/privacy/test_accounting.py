"""Accounting against closed forms, an independent accountant, and itself."""

import math

import pytest
from scipy.stats import norm

from fedseed.privacy.accounting import (
    calibrate,
    calibrate_randomised_response,
    gaussian_delta,
    randomised_response_spent,
    spent,
)

DELTA = 1e-5


def test_the_gaussian_mechanism_is_the_closed_form() -> None:
    """Balle and Wang 2018, theorem 8, written out with the normal distribution."""
    for noise in (0.7, 1.0, 5.0):
        for epsilon in (0.0, 0.5, 3.0):
            half, shift = 1 / (2 * noise), epsilon * noise
            exact = norm.cdf(half - shift) - math.exp(epsilon) * norm.cdf(-half - shift)
            assert gaussian_delta(noise, epsilon) == pytest.approx(exact, rel=1e-6)
        assert gaussian_delta(noise, spent(noise, 1, 1, DELTA)) == pytest.approx(DELTA, rel=1e-4)
    # The classical bound sqrt(2 ln(1.25 / delta)) / epsilon is sufficient below epsilon = 1.
    assert spent(math.sqrt(2 * math.log(1.25 / DELTA)) / 0.9, 1, 1, DELTA) < 0.9


def test_a_rate_near_one_costs_what_a_rate_of_one_does() -> None:
    """The distributions of dp-accounting and the closed form agree where they meet."""
    assert spent(2.0, 0.999999, 4, DELTA) == pytest.approx(spent(2.0, 1, 4, DELTA), rel=2e-3)
    assert spent(2.0, 1, 4, DELTA) == spent(1.0, 1, 1, DELTA)


def test_a_known_dp_sgd_run() -> None:
    """MNIST of Abadi et al.: q = 0.01, noise 4, 10,000 steps; they report 1.26 by moments."""
    found = spent(4.0, 0.01, 10_000, DELTA)
    assert 0.8 < found < 1.26


def test_spending_is_monotone() -> None:
    assert spent(1.0, 0.1, 10, DELTA) < spent(1.0, 0.1, 20, DELTA)
    assert spent(1.0, 0.1, 10, DELTA) < spent(1.0, 0.2, 10, DELTA)
    assert spent(1.0, 0.1, 10, DELTA) < spent(0.8, 0.1, 10, DELTA)
    assert spent(1.0, 0.1, 10, 1e-4) < spent(1.0, 0.1, 10, DELTA)
    assert spent(0.05, 0.1, 10, DELTA) > 100
    assert spent(0.0, 0.1, 1, DELTA) == math.inf
    assert spent(0.0, 0.1, 0, DELTA) == 0.0


@pytest.mark.parametrize(
    ("epsilon", "rate", "steps"), [(2.0, 1.0, 5), (3.0, 0.1, 20), (300.0, 0.1, 20)]
)
def test_calibration_is_tight(epsilon: float, rate: float, steps: int) -> None:
    noise = calibrate(epsilon, DELTA, rate, steps)
    assert float(f"{noise:.3g}") == noise
    assert spent(noise, rate, steps, DELTA) <= epsilon
    assert spent(noise * 0.99, rate, steps, DELTA) > epsilon


def test_no_noise_is_enough_for_nothing() -> None:
    assert calibrate(1e-9, 1e-12, 1.0, 3) == math.inf


def test_composed_answers_are_an_independent_accountant_s() -> None:
    from dp_accounting.pld import privacy_loss_distribution

    each, answers = 0.1, 200
    # Kept with probability e^eps / (1 + e^eps): noise 2 / (1 + e^eps) over two buckets.
    noise = 2 / (1 + math.exp(each))
    one = privacy_loss_distribution.from_randomized_response(noise, 2)
    oracle = one.self_compose(answers).get_epsilon_for_delta(DELTA)
    assert randomised_response_spent(each, answers, DELTA) == pytest.approx(oracle, rel=1e-2)


def test_answers_never_cost_more_than_their_sum() -> None:
    for each, answers in ((0.01, 1), (1.0, 1), (3.0, 4), (0.02, 5000)):
        assert randomised_response_spent(each, answers, DELTA) <= each * answers * (1 + 1e-9)
    assert randomised_response_spent(0.0, 10, DELTA) == 0.0
    assert randomised_response_spent(2.0, 1, 1e-12) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(("epsilon", "answers"), [(8.0, 25_590), (1.0, 100), (5.0, 1)])
def test_calibrated_answers_fill_the_budget(epsilon: float, answers: int) -> None:
    each = calibrate_randomised_response(epsilon, DELTA, answers)
    assert each >= epsilon / answers
    found = randomised_response_spent(each, answers, DELTA)
    assert 0.99 * epsilon <= found <= epsilon * (1 + 1e-6)


def test_calibration_is_the_smallest_of_three_digits() -> None:
    """Against a search over every number of three digits, by the closed form."""
    for epsilon, steps in ((0.3, 1), (2.0, 3), (40.0, 7)):
        grid = [float(f"{digits}e{power}") for power in range(-4, 3) for digits in range(100, 1000)]
        best = next(noise for noise in grid if spent(noise, 1, steps, DELTA) <= epsilon)
        assert calibrate(epsilon, DELTA, 1, steps) == best
