"""One-run audits: by hand, and on mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from fedseed.attacks.audit.one_run import SHARES, audit, epsilon_lower_bound, guesses, p_value
from fedseed.errors import ConfigError
from fedseed.randomness import generator

DELTA = 1e-5


def randomised_response(
    seed: int, epsilon: float, examples: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Membership bits, each reported truly with the largest chance that epsilon allows."""
    rng = generator(seed, "test audit")
    members = rng.random(examples) < 0.5
    lies = rng.random(examples) > 1 / (1 + math.exp(-epsilon))
    return (members ^ lies).astype(np.float64), members


def test_guesses() -> None:
    scores = [0.3, 0.9, 0.1, 0.5, 0.7, 0.2]
    assert guesses(scores, 1.0).tolist() == [-1, 1, -1, 1, 1, -1]
    assert guesses(scores, 1 / 3).tolist() == [0, 1, -1, 0, 0, 0]
    assert guesses(scores, 0.0).tolist() == [0] * 6
    assert guesses([0.3, 0.9, 0.1], 1.0).tolist() == [0, 1, -1]
    with pytest.raises(ValueError, match="share"):
        guesses(scores, 1.1)
    with pytest.raises(ValueError, match="NaN"):
        guesses([float("nan")], 1.0)


def test_ties_do_not_tell_the_order_of_the_examples() -> None:
    members = np.arange(2000) < 1000
    result = audit(np.zeros(2000), members, DELTA)
    assert result["epsilon"] == 0.0
    assert 0.45 < result["correct"] / result["guessed"] < 0.55
    assert audit(np.zeros(2000), ~members, DELTA)["epsilon"] == 0.0


def test_p_value_by_hand() -> None:
    # Two fair coins, both right; alpha = max(P(W = 1), P(W <= 1) / 2) = 1/2.
    assert p_value(2, 2, 10, 0.0, 0.0) == pytest.approx(0.25)
    assert p_value(2, 2, 10, 0.0, 0.01) == pytest.approx(0.25 + 2 * 10 * 0.01 * 0.5)
    assert p_value(0, 0, 10, 0.0, 0.01) == 1.0


@pytest.mark.parametrize(("correct", "guessed"), [(30, 40), (90, 100), (512, 1000)])
def test_p_value_equals_a_slow_one(correct: int, guessed: int) -> None:
    examples, chance = 1000, 1 / (1 + math.exp(-0.7))
    share = [float(binom.pmf(v, guessed, chance)) for v in range(guessed + 1)]
    alpha = max(sum(share[correct - i : correct]) / i for i in range(1, correct + 1))
    slow = sum(share[correct:]) + 2 * examples * DELTA * alpha
    assert p_value(correct, guessed, examples, 0.7, DELTA) == pytest.approx(min(1.0, slow))


def test_pure_bound_is_an_exact_binomial_one() -> None:
    low = binomtest(80, 100, alternative="greater").proportion_ci(0.95, method="exact").low
    bound = epsilon_lower_bound(80, 100, 500, delta=0.0)
    assert bound == pytest.approx(math.log(low / (1 - low)), abs=2e-6)
    assert epsilon_lower_bound(80, 100, 500, delta=1e-4) < bound
    assert epsilon_lower_bound(55, 100, 500, delta=0.0) == 0.0
    assert epsilon_lower_bound(0, 0, 500, delta=0.0) == 0.0


def test_bound_grows_with_what_is_right() -> None:
    bounds = [epsilon_lower_bound(correct, 100, 200, DELTA) for correct in range(50, 101)]
    assert bounds == sorted(bounds)
    assert bounds[0] == 0.0 < bounds[-1]
    assert epsilon_lower_bound(90, 100, 200, DELTA, 0.99) < bounds[40]


@pytest.mark.parametrize(("epsilon", "least"), [(0.5, 0.1), (1.0, 0.5), (4.0, 2.5)])
def test_bound_holds_on_randomised_response(epsilon: float, least: float) -> None:
    seeds = 40
    bounds = [audit(*randomised_response(seed, epsilon, 1000), DELTA) for seed in range(seeds)]
    values = np.array([bound["epsilon"] for bound in bounds])
    # 5 % may exceed epsilon; more than 6 of 40 have a chance below 0.004.
    assert (values > epsilon).sum() <= 6
    assert np.median(values) > least


def test_bound_holds_without_any_signal() -> None:
    rng = generator(3, "test audit")
    values = [
        audit(rng.normal(0, 1, 500), rng.random(500) < 0.5, DELTA)["epsilon"] for _ in range(60)
    ]
    assert np.count_nonzero(values) <= 8


def test_abstention_finds_what_few_examples_give_away() -> None:
    rng = generator(4, "test audit")
    members = rng.random(1000) < 0.5
    scores = rng.normal(0, 1, 1000)
    sure = rng.random(1000) < 0.1
    scores[sure] += np.where(members, 10, -10)[sure]
    result = audit(scores, members, DELTA)
    assert result["share"] < 1.0
    assert result["epsilon"] > 1.0
    assert result["correct"] <= result["guessed"] <= 1000 * SHARES[1]


def test_perfect_scores() -> None:
    members = generator(5, "test audit").random(1000) < 0.5
    result = audit(np.where(members, 1.0, 0.0), members, DELTA)
    assert result["epsilon"] > 4
    assert set(result) == {
        "epsilon", "delta", "confidence", "examples", "share", "guessed", "correct",
    }  # fmt: skip
    assert audit(np.where(members, 0.0, 1.0), members, DELTA)["epsilon"] == 0.0


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="delta"):
        epsilon_lower_bound(80, 100, 1000, delta=0.001)
    with pytest.raises(ValueError, match="counts"):
        epsilon_lower_bound(101, 100, 1000, delta=0.0)
    with pytest.raises(ValueError, match="confidence"):
        epsilon_lower_bound(80, 100, 1000, 0.0, confidence=1.0)
    with pytest.raises(ValueError, match="each example"):
        audit([1.0], [True, False], 0.0)
