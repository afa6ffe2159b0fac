"""Membership inference on made-up worlds in which the truth is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from fedseed.attacks.membership.scores import (
    lira_offline,
    lira_online,
    logit_confidence,
    loss_threshold,
    rmia,
)
from fedseed.attacks.membership.shadows import Shadows
from fedseed.attacks.membership.vectors import vector_lira
from fedseed.attacks.roc import roc_of
from fedseed.randomness import generator

Floats = NDArray[np.float64]
Scorer = Callable[[Floats, Shadows], Floats]


def sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def world(
    seed: int, gap: float, shadow_models: int = 16, candidates: int = 1000, hardness: float = 3.0
) -> tuple[Floats, NDArray[np.bool_], Shadows]:
    """Observed logits and membership of a target, and shadows, of candidates of unlike hardness."""
    rng = generator(seed, "test membership")
    members = rng.random((shadow_models + 1, candidates)) < 0.5
    logits = rng.normal(1, hardness, candidates) + gap * members
    logits = logits + rng.normal(0, 1, members.shape)
    return logits[0], members[0], Shadows(logits[1:], members[1:])


def rmia_of(observed: Floats, shadows: Shadows, offline_a: float | None = None) -> Floats:
    """RMIA on logits; population texts are like candidates on which nobody was trained."""
    rng = generator(7, "test population")
    population = rng.normal(1, 3, 500) + rng.normal(0, 1, (len(shadows.signals) + 1, 500))
    confidence = Shadows(sigmoid(shadows.signals), shadows.members)
    first, rest = sigmoid(population[0]), sigmoid(population[1:])
    return rmia(sigmoid(observed), first, confidence, rest, offline_a=offline_a)


def auc(scores: Floats, members: NDArray[np.bool_]) -> float:
    assert np.isfinite(scores).all()
    return roc_of(scores[members], scores[~members]).auc


ATTACKS: dict[str, Scorer] = {
    "online": lira_online,
    "offline": lira_offline,
    "rmia": rmia_of,
    "rmia offline": lambda observed, shadows: rmia_of(observed, shadows, 0.3),
    "threshold": lambda observed, _: loss_threshold(observed),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_signal_gives_chance(name: str) -> None:
    observed, members, shadows = world(3, gap=0.0, candidates=4000)
    assert auc(ATTACKS[name](observed, shadows), members) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", ["online", "offline", "rmia", "rmia offline"])
def test_shadows_beat_one_threshold_when_texts_differ_in_hardness(name: str) -> None:
    observed, members, shadows = world(4, gap=2.0)
    baseline = auc(loss_threshold(observed), members)
    assert 0.6 < baseline < 0.72
    assert auc(ATTACKS[name](observed, shadows), members) > baseline + 0.05


@pytest.mark.parametrize("shadow_models", [8, 200])
def test_lira_nears_the_best_there_is(shadow_models: int) -> None:
    observed, members, shadows = world(5, gap=2.0, shadow_models=shadow_models)
    best = norm.cdf(2 / math.sqrt(2))
    reached = auc(lira_online(observed, shadows), members)
    assert best - (0.1 if shadow_models == 8 else 0.02) < reached < best + 0.03


def test_lira_by_hand() -> None:
    signals = np.array([[1.0], [3.0], [-1.0], [1.0]])
    shadows = Shadows(signals, np.array([[True], [True], [False], [False]]))
    observed = np.array([2.0])
    deviation = math.sqrt(2.0)
    expected = norm.logpdf(2, 2, deviation) - norm.logpdf(2, 0, deviation)
    assert lira_online(observed, shadows) == pytest.approx([expected])
    assert lira_offline(observed, shadows) == pytest.approx([norm.logcdf(2, 0, deviation)])


def test_variances_are_pooled_until_there_are_enough_shadows() -> None:
    rng = generator(6, "test membership")
    for shadow_models, one_variance_each in ((40, False), (400, True)):
        members = rng.random((shadow_models, 2)) < 0.5
        signals = rng.normal(0, 1, members.shape) * np.array([1.0, 5.0])
        inside, _ = Shadows(signals, members).deviations()
        assert (inside[1] > 3 * inside[0]) == one_variance_each


def test_a_candidate_without_shadows_of_a_kind_has_the_neutral_score() -> None:
    observed, _, shadows = world(8, gap=2.0, candidates=20)
    shadows.members[:, 0], shadows.members[:, 1] = True, False
    online, offline = lira_online(observed, shadows), lira_offline(observed, shadows)
    assert online[:2].tolist() == [0.0, 0.0]
    assert (online[2:] != 0).all()
    assert offline[0] == pytest.approx(math.log(0.5))
    for scores in (online, offline, rmia_of(observed, shadows), rmia_of(observed, shadows, 0.3)):
        assert np.isfinite(scores).all()
    everything = Shadows(shadows.signals, np.ones_like(shadows.members))
    assert (lira_online(observed, everything) == 0).all()


def test_signals_without_spread_are_finite() -> None:
    members = np.array([[True, False], [False, True], [True, True], [False, False]])
    flat = Shadows(np.full((4, 2), 0.5), members)
    for scores in (lira_online(np.array([0.5, 9.0]), flat), lira_offline(np.ones(2), flat)):
        assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match="shape"):
        Shadows(np.zeros((4, 2)), members.T)


def test_rmia_by_hand() -> None:
    shadows = Shadows(np.array([[0.8], [0.4]]), np.array([[True], [False]]))
    population = np.array([0.2, 0.5, 0.9, 0.6])
    others = np.array([[0.2, 0.5, 0.5, 0.3], [0.2, 0.5, 0.5, 0.3]])
    observed = np.array([0.9])  # 0.9 / 0.6 = 1.5 against 1, 1, 1.8 and 2
    assert rmia(observed, population, shadows, others).tolist() == [0.5]
    assert rmia(observed, population, shadows, others, gamma=1.6).tolist() == [0.0]
    # Offline with a = 0: p(x) = (0.4 + 1) / 2 and p(z) likewise, ratios 1.286 against
    # 0.333, 0.667, 1.2 and 0.923.
    assert rmia(observed, population, shadows, others, offline_a=0.0).tolist() == [1.0]


def test_logit_confidence() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    confidences = logit_confidence(np.log(probabilities), np.array([0, 2]))
    assert confidences == pytest.approx([math.log(0.7 / 0.3), 0.0])
    sure = np.array([[0.0, -80.0], [0.0, -np.inf]])  # 1 - p is 0 in doubles, not so its logarithm
    assert logit_confidence(sure, np.array([0, 0])) == pytest.approx([80.0, 745.0])
    assert logit_confidence(sure, np.array([1, 1])) == pytest.approx([-80.0, -745.0])


def vectors(
    seed: int, pull: float, shadows: int = 64, candidates: int = 100, features: int = 400
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Vectors that each member pulls in a direction of its own; the first is the target's."""
    rng = generator(seed, "test vectors")
    members = rng.random((shadows + 1, candidates)) < 0.5
    directions = rng.normal(0, 1, (candidates, features))
    noise = rng.normal(0, 1, (shadows + 1, features))
    sent = (pull * members @ directions + noise) * rng.uniform(0.01, 100, features)
    return sent[0], sent[1:], members


@pytest.mark.parametrize(("pull", "low", "high"), [(0.0, 0.44, 0.56), (0.3, 0.75, 1.0)])
def test_vector_lira_finds_what_shifts_the_vector(pull: float, low: float, high: float) -> None:
    areas = []
    for seed in range(10):
        observed, sent, members = vectors(seed, pull)
        areas.append(auc(vector_lira(observed, sent, members[1:]), members[0]))
    assert low < np.mean(areas) < high


def test_vector_lira_ignores_constant_features_and_units() -> None:
    observed, sent, members = vectors(1, 0.3)
    scores = vector_lira(observed, sent, members[1:])
    with_constant = np.column_stack([sent, np.full(len(sent), 0.1)])
    assert vector_lira(np.append(observed, 9.0), with_constant, members[1:]) == pytest.approx(
        scores
    )
    assert vector_lira(observed * 1e3 + 5, sent * 1e3 + 5, members[1:]) == pytest.approx(scores)
    assert (vector_lira(np.ones(3), np.ones((8, 3)), members[:8]) == 0).all()


def test_vector_lira_scores_zero_where_it_cannot_tell() -> None:
    observed, sent, members = vectors(2, 0.3)
    known = members[1:].copy()
    known[:, 0], known[:, 1] = True, False
    scores = vector_lira(observed, sent, known)
    assert scores[:2].tolist() == [0.0, 0.0]
    assert (scores[2:] != 0).all()
    assert (vector_lira(observed, sent[:2], known[:2]) == 0).all()
    with pytest.raises(ValueError, match="fit together"):
        vector_lira(observed[1:], sent, known)


def test_the_number_of_shadows_alone_does_not_move_a_vector_score() -> None:
    rng = generator(9, "test vectors")
    share = np.where(np.arange(200) < 100, 0.1, 0.5)
    gaps = []
    for _ in range(30):
        members = rng.random((40, 200)) < share
        scores = vector_lira(rng.normal(0, 1, 50), rng.normal(0, 1, (40, 50)), members)
        gaps.append(scores[:100].mean() - scores[100:].mean())
    assert abs(float(np.mean(gaps))) < 3 * float(np.std(gaps)) / math.sqrt(30) + 0.2
