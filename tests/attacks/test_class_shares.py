"""Label inference: reads a mix that was sent, and nothing where nothing was sent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedseed.attacks.label_distribution.class_shares import (
    baseline_error,
    fit_and_estimate,
    label_error,
    to_simplex,
)
from fedseed.randomness import generator


@pytest.mark.parametrize("classes", [2, 4])
def test_reads_a_mix_that_moves_the_features(classes: int) -> None:
    rng = generator(1, "test label share")
    shares = rng.dirichlet(np.ones(classes), 120)
    features = shares @ rng.normal(0, 1, (classes, 20)) + rng.normal(0, 0.05, (120, 20))
    features = np.column_stack([features * rng.uniform(0.01, 100, 20), np.ones(120)])
    estimated = fit_and_estimate(features[:80], shares[:80], features[80:])
    assert estimated.shape == (40, classes)
    assert estimated.sum(axis=1) == pytest.approx(np.ones(40))
    assert (estimated >= 0).all()
    error = label_error(estimated, shares[80:]).mean()
    assert error < 0.2 * baseline_error(shares[:80], shares[80:]).mean()


def test_is_no_better_than_the_mean_where_nothing_is_sent() -> None:
    rng = generator(2, "test label share")
    shares = rng.dirichlet(np.ones(2), 400)
    features = rng.normal(0, 1, (400, 30))
    estimated = fit_and_estimate(features[:200], shares[:200], features[200:])
    error = label_error(estimated, shares[200:]).mean()
    baseline = baseline_error(shares[:200], shares[200:]).mean()
    assert error == pytest.approx(baseline, rel=0.1)


def test_more_features_than_shadow_clients() -> None:
    rng = generator(3, "test label share")
    shares = rng.dirichlet(np.ones(2), 40)
    features = shares @ rng.normal(0, 1, (2, 500)) + rng.normal(0, 0.5, (40, 500))
    estimated = fit_and_estimate(features[:30], shares[:30], features[30:])
    error = label_error(estimated, shares[30:]).mean()
    assert error < 0.5 * baseline_error(shares[:30], shares[30:]).mean()


def test_errors_by_hand() -> None:
    estimated = np.array([[1.0, 0.0], [0.5, 0.5]])
    true = np.array([[0.0, 1.0], [0.25, 0.75]])
    assert label_error(estimated, true).tolist() == [1.0, 0.25]
    train = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert baseline_error(train, true) == pytest.approx([0.4, 0.15])
    with pytest.raises(ValueError, match="shapes"):
        label_error(estimated, true[:1])


def test_simplex_by_hand() -> None:
    points = np.array([[0.3, 0.7], [1.5, 0.2], [-1.0, -1.0], [0.6, 0.8]])
    nearest = [[0.3, 0.7], [1.0, 0.0], [0.5, 0.5], [0.4, 0.6]]
    assert to_simplex(points) == pytest.approx(np.array(nearest))


@given(arrays(np.float64, (5, 3), elements=st.floats(-5, 5)))
@settings(max_examples=60, deadline=None)
def test_nothing_on_the_simplex_is_nearer(points: np.ndarray) -> None:
    nearest = to_simplex(points)
    assert (nearest >= 0).all()
    assert nearest.sum(axis=1) == pytest.approx(np.ones(5))
    others = generator(4, "test simplex").dirichlet(np.ones(3), 50)
    for point, projected in zip(points, nearest, strict=True):
        distances = ((others - point) ** 2).sum(axis=1)
        assert ((projected - point) ** 2).sum() <= distances.min() + 1e-9
