"""Audits by repeated answers: on noise whose epsilon is known, and on clients that count."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, norm

from fedseed.attacks.audit.repeated import lower_bounds
from fedseed.config import RunConfig
from fedseed.linear.buckets import names
from fedseed.privacy.accounting import calibrate
from fedseed.privacy.counting import OfNumbers, calibrate_counting
from fedseed.privacy.mechanisms import Defence, discrete_gaussian
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask
from fedseed.randomness import generator
from fedseed.runs.plan import make_plan

DELTA = 1e-5


def gaussian_scores(epsilon: float, answers: int, seed: int, too_little: float = 1.0) -> Any:
    noise = calibrate(epsilon, DELTA, 1.0, 1) / too_little
    rng = np.random.default_rng(seed)
    return 1 + noise * rng.standard_normal(answers), noise * rng.standard_normal(answers)


def ones(first: int, then: int) -> list[float]:
    """Scores of 0 and 1: so many ones among 100 that choose, and among 300 that are counted."""
    return [1.0] * first + [0.0] * (100 - first) + [1.0] * then + [0.0] * (300 - then)


@pytest.mark.parametrize("chosen_on", [(67, 2), (95, 0), (55, 45)], ids=["usual", "far", "near"])
def test_what_a_bound_is_sure_of(chosen_on: tuple[int, int]) -> None:
    """Each side at a quarter of what may go wrong, on answers that chose no threshold."""
    inside, outside = ones(chosen_on[0], 200), ones(chosen_on[1], 5)
    bounds = lower_bounds(inside, outside, DELTA, 0.99)
    least, most = beta.ppf(0.0025, 200, 101), beta.ppf(0.9975, 6, 295)
    assert bounds.answers == 300
    assert bounds.general == pytest.approx(np.log((least - DELTA) / most), abs=1e-9)
    distance = norm.ppf(least) - norm.ppf(most)
    assert calibrate(bounds.gaussian, DELTA, 1.0, 1) == pytest.approx(1 / distance, abs=1e-3)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0, 8.0])
def test_never_above_the_claim_and_near_it(epsilon: float) -> None:
    found = [lower_bounds(*gaussian_scores(epsilon, 100_000, seed), DELTA) for seed in range(5)]
    assert max(max(one.general, one.gaussian) for one in found) <= epsilon
    assert np.mean([one.gaussian for one in found]) > 0.7 * epsilon
    assert found[0].answers == 75_000


def test_too_little_noise_is_found_out() -> None:
    for epsilon in (0.5, 1.0, 4.0, 8.0):
        scores = gaussian_scores(epsilon, 100_000, 1, too_little=2.0)
        assert lower_bounds(*scores, DELTA).gaussian > 1.2 * epsilon


def test_scores_that_say_nothing_refute_nothing() -> None:
    rng = np.random.default_rng(0)
    found = lower_bounds(rng.random(400), rng.random(400), DELTA)
    assert found.general < 0.1
    assert found.gaussian < 0.5
    with pytest.raises(ValueError, match="20 scores"):
        lower_bounds(np.zeros(19), np.zeros(19), DELTA)


PRIVATE = {"protocol": "lexicon", "estimate": "counts", "rounds": 1, "privacy": "example"}
WORDS = 6
"""Of a text: the small world has no more."""


def answers(
    small: dict[str, Any], epsilon: float, with_text: bool, count: int, too_little: float = 1.0
) -> list[float]:
    """Scores of a client's real answers: how much stands at the words of its first text."""
    options = {"epsilon": epsilon, "words_per_text": WORDS, "leave_out": 0}
    plan = make_plan(RunConfig.parse(small | PRIVATE | options))
    config, shard = plan.config, plan.federated.shard(0)
    defence = plan.setup().defence
    assert isinstance(defence, Defence)
    defence = Defence(**{**vars(defence), "noise": defence.noise / too_little})
    payload = plan.server().configure(1, [0])[0]
    client = find_protocol("lexicon").make_client(config.options, defence=defence)
    tokens, words = names(0), len(names(0))
    text = shard.train[:1]
    ids, _ = shard.table.padded(text, plan.max_length)
    rarest = np.flatnonzero(np.isin(tokens, np.unique(ids)))[-WORDS:]
    places = 2 + 4 + words * int(shard.table.labels[text[0]]) + rarest
    held = shard if with_text else type(shard)(shard.table, shard.train[1:], shard.validation)
    scores = []
    for number in range(count):
        rng = generator(number, "audit of counts", int(with_text))
        vector = client.addend(ClientTask(payload, held, {}, rng), 3).view(np.int32)
        scores.append(float(vector[places].sum()))
    return scores


@pytest.mark.parametrize(("epsilon", "too_little"), [(8.0, 1.0), (8.0, 2.0)])
def test_clients_that_count(small: dict[str, Any], epsilon: float, too_little: float) -> None:
    """The whole path of an answer. Class and length are left out: of eight numbers six are seen."""
    sides = [answers(small, epsilon, here, 300, too_little) for here in (True, False)]
    found = lower_bounds(*sides, DELTA)
    if too_little == 1:
        assert epsilon / 3 < found.gaussian <= epsilon
    else:
        assert found.gaussian > epsilon


def test_sums_of_shared_noise_hold_their_claim() -> None:
    """Seven of ten clients stay, each with a seventh of the noise."""
    numbers, epsilon = 66, 4.0
    noise = calibrate_counting(epsilon, DELTA, OfNumbers(numbers), 1 / 7)
    rng = np.random.default_rng(3)
    sides = []
    for change in (1, 0):
        drawn = discrete_gaussian(noise / np.sqrt(7), 7 * 2000 * numbers, rng)
        sums = drawn.reshape(7, 2000, numbers).sum(axis=0) + change
        sides.append(sums.sum(axis=1))
    found = lower_bounds(*sides, DELTA)
    assert 0.7 * epsilon < found.gaussian <= epsilon
