"""ROCs: by hand, against known distributions, and unmoved by monotone changes of scores."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from fedseed.attacks.roc import fpr_grid, mean_roc, over_targets, roc_of, tpr_at
from fedseed.evaluation.repeats import mean_interval
from fedseed.randomness import generator

SCORES = st.lists(st.integers(-50, 50), min_size=1, max_size=30)


def test_by_hand() -> None:
    roc = roc_of([3.0, 2.0, 2.0], [2.0, 1.0])
    assert roc.false_positive_rates.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert roc.true_positive_rates == pytest.approx([0.0, 1 / 3, 1.0, 1.0])
    # 6 pairs: 4 won, 2 even.
    assert roc.auc == pytest.approx(5 / 6)


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 3.0])
def test_two_gaussians(distance: float) -> None:
    rng = generator(1, "test roc")
    roc = roc_of(rng.normal(distance, 1, 20_000), rng.normal(0, 1, 20_000))
    assert roc.auc == pytest.approx(norm.cdf(distance / math.sqrt(2)), abs=0.01)
    assert roc_of(rng.normal(0, 1, 50), rng.normal(100, 1, 50)).auc == 0.0


def test_tpr_of_two_gaussians() -> None:
    rng = generator(2, "test roc")
    inside, outside = rng.normal(2, 1, 50_000), rng.normal(0, 1, 50_000)
    for fpr in (0.001, 0.01, 0.1):
        expected = norm.sf(norm.isf(fpr) - 2)
        assert tpr_at(inside, outside, fpr) == pytest.approx(expected, abs=0.02)


@given(SCORES, SCORES)
@settings(max_examples=60, deadline=None)
def test_only_the_order_of_scores_counts(inside: list[int], outside: list[int]) -> None:
    plain = roc_of(inside, outside)
    changed = roc_of(np.exp(np.divide(inside, 10)), np.exp(np.divide(outside, 10)))
    assert np.array_equal(plain.false_positive_rates, changed.false_positive_rates)
    assert np.array_equal(plain.true_positive_rates, changed.true_positive_rates)
    swapped = roc_of(outside, inside)
    assert plain.auc + swapped.auc == pytest.approx(1.0)


@given(SCORES, SCORES)
@settings(max_examples=60, deadline=None)
def test_auc_is_the_mann_whitney_statistic(inside: list[int], outside: list[int]) -> None:
    ranks = rankdata(inside + outside)[: len(inside)].sum()
    pairs = ranks - len(inside) * (len(inside) + 1) / 2
    assert roc_of(inside, outside).auc == pytest.approx(pairs / (len(inside) * len(outside)))


def test_no_interpolation_and_no_false_resolution() -> None:
    inside = [5.0, 4.0, 0.5, 0.0]
    outside = [4.5, 1.0, *[-1.0] * 98]
    assert tpr_at(inside, outside, 0.01) == 0.5
    assert tpr_at(inside, outside, 0.0199) == 0.5
    assert tpr_at(inside, outside, 0.02) == 1.0
    assert math.isnan(tpr_at(inside, outside, 0.0099))
    # The tied scores of all non-members can only be accepted together.
    assert math.isnan(tpr_at([1.0] * 5, [1.0] * 100, 0.1))
    assert tpr_at([1.0] * 5, [1.0] * 5 + [0.0] * 95, 0.05) == 1.0
    assert tpr_at([0.5] * 10, [0.9] * 2 + [0.0] * 98, 0.01) == 0.0  # no member is among those
    # One that finds nobody, where somebody could be found.
    assert tpr_at([0.0] * 5, np.arange(1, 101), 0.1) == 0.0
    # 1000 non-members do resolve 0.001, whatever binary numbers make of it.
    assert tpr_at([2.0], np.arange(1000) / 1000, 0.001) == 1.0


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        roc_of([], [1.0])
    with pytest.raises(ValueError, match="NaN"):
        roc_of([1.0], [float("nan")])
    with pytest.raises(ValueError, match="lies in"):
        tpr_at([1.0], [0.0], 0.0)
    with pytest.raises(ValueError, match="target"):
        over_targets([])


def test_over_targets() -> None:
    values = [0.5, 0.6, 0.7]
    mean = over_targets(values)
    assert mean["value"] == pytest.approx(0.6)
    assert mean["ci95"] == mean_interval(values)
    assert over_targets([0.0, 1.0])["ci95"] == [0.0, 1.0]
    assert over_targets([0.0, 1.0], rates=False)["ci95"][1] > 1.0
    assert over_targets([0.3]) == {"value": 0.3, "ci95": None}
    assert over_targets([0.3, float("nan")]) == {"value": None, "ci95": None}


def test_mean_roc() -> None:
    perfect, useless = roc_of([2.0] * 10, [1.0] * 10), roc_of(range(10), range(10))
    grid = fpr_grid(10, points=3)
    assert grid == pytest.approx([0.1, 10**-0.5, 1.0])
    assert mean_roc([perfect, useless], grid) == pytest.approx([0.55, 0.65, 1.0])
    for fpr, expected in zip(grid, mean_roc([useless], grid), strict=True):
        assert tpr_at(range(10), range(10), float(fpr)) == expected
