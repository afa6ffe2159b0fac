"""One-run audits by the curve of Gaussian noise: by hand, and on noise whose epsilon is known."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom, norm

from fedseed.attacks.audit.one_run import audit
from fedseed.attacks.audit.one_run_gaussian import gaussian_lower_bound, possible
from fedseed.privacy.accounting import calibrate
from fedseed.randomness import generator

DELTA = 1e-5


def gaussian_audit(epsilon: float, seed: int, too_little: float = 1.0) -> float:
    """The bound of 4,000 examples, each noised by itself."""
    noise = calibrate(epsilon, DELTA, 1.0, 1) / too_little
    rng = generator(seed, "test gaussian audit")
    members = rng.random(4000) < 0.5
    scores = members + rng.normal(0, noise, 4000)
    bound: float = audit(scores, members, DELTA, gaussian=True)["epsilon"]
    return bound


def test_without_a_signal_guesses_are_coins() -> None:
    # Five coins: four or more right have a chance of 6 / 32, five of 1 / 32.
    assert possible(4, 5, 5, 0.0, 6 / 32 - 1e-9)
    assert not possible(4, 5, 5, 0.0, 0.5)
    assert possible(5, 5, 5, 0.0, 1 / 32 - 1e-9)
    assert not possible(5, 5, 5, 0.0, 0.1)


@pytest.mark.parametrize("signal", [0.3, 1.0, 2.0])
def test_what_independent_answers_can_do_is_possible(signal: float) -> None:
    """Each guess of n examples that are noised by themselves is right with Phi(signal / 2)."""
    right, n = float(norm.cdf(signal / 2)), 30
    for correct in range(15, n + 1):
        assert possible(correct, n, n, signal, float(binom.sf(correct - 1, n, right)))
    assert not possible(n, n, n, signal, 0.99)


def test_the_bound_grows_with_what_is_right_and_is_nearer_than_the_general_one() -> None:
    bounds = [gaussian_lower_bound(correct, 100, 2000, DELTA) for correct in range(50, 101)]
    assert all(one <= other for one, other in itertools.pairwise(bounds))
    assert bounds[0] == 0.0 < bounds[-1]
    rng = generator(0, "test gaussian audit")
    members = rng.random(4000) < 0.5
    scores = members + rng.normal(0, calibrate(8.0, DELTA, 1.0, 1), 4000)
    nearer = audit(scores, members, DELTA, gaussian=True)["epsilon"]
    assert audit(scores, members, DELTA)["epsilon"] * 1.2 < nearer <= 8


@pytest.mark.parametrize(("epsilon", "least"), [(0.5, 0.0), (1.0, 0.1), (4.0, 1.3), (8.0, 3.2)])
def test_never_above_the_claim_and_near_it(epsilon: float, least: float) -> None:
    bounds = [gaussian_audit(epsilon, seed) for seed in range(5)]
    assert max(bounds) <= epsilon
    assert np.mean(bounds) > least


def test_too_little_noise_is_found_out() -> None:
    assert gaussian_audit(2.0, 1, too_little=3.0) > 2.0


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="counts"):
        gaussian_lower_bound(101, 100, 1000, DELTA)
    with pytest.raises(ValueError, match="confidence"):
        gaussian_lower_bound(80, 100, 1000, DELTA, confidence=1.0)
    assert gaussian_lower_bound(0, 0, 1000, DELTA) == 0.0
