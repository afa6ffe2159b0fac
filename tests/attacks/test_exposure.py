"""Exposure: by hand, its bounds, and its extrapolation against known distributions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, skewnorm

from fedseed.attacks.canaries.exposure import exposure, extrapolated_exposure, most
from fedseed.randomness import generator


def test_by_hand() -> None:
    references = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert exposure(0.5, references) == 3.0 == most(7)
    assert exposure(1.5, references) == 2.0
    assert exposure(3.5, references) == 1.0
    assert exposure(7.5, references) == 0.0
    # Two equal losses count as one before the canary: rank 2.
    assert exposure(1.0, [1.0, 1.0, 2.0]) == 1.0


@given(st.floats(-5, 5), st.lists(st.floats(-5, 5), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_bounds_and_order(canary: float, references: list[float]) -> None:
    bits = exposure(canary, references)
    assert 0.0 <= bits <= most(len(references))
    assert exposure(canary - 1.0, references) >= bits


def test_a_canary_never_seen_has_one_and_a_half_bits() -> None:
    losses = generator(1, "test exposure").normal(5, 1, 2000)
    bits = [exposure(float(canary), np.delete(losses, i)) for i, canary in enumerate(losses)]
    assert np.mean(bits) == pytest.approx(1 / math.log(2), abs=0.02)


@pytest.mark.parametrize("shape", [0.0, -3.0, 3.0])
def test_extrapolation_agrees_with_counting_and_goes_on(shape: float) -> None:
    rng = generator(2, "test exposure")
    true = skewnorm(shape, loc=40, scale=3)
    losses = np.asarray(true.ppf(rng.random(2000)))
    for share in (0.5, 0.1, 0.02):
        canary = float(true.ppf(share))
        assert extrapolated_exposure(canary, losses) == pytest.approx(-math.log2(share), rel=0.15)
        assert exposure(canary, losses) == pytest.approx(-math.log2(share), rel=0.15)
    far = float(true.ppf(1e-9))
    assert extrapolated_exposure(far, losses) == pytest.approx(-math.log2(1e-9), rel=0.3)
    assert exposure(far, losses) == most(2000)


def test_the_far_tail_is_that_of_the_normal_distribution() -> None:
    from fedseed.attacks.canaries.exposure import _log_cdf

    for z in (-1.0, -5.0, -12.0, -60.0):
        assert _log_cdf(z, 0.0) == pytest.approx(norm.logcdf(z), rel=1e-6)
    # Of shape -1 the distribution function is 1 - (1 - Phi)**2, of shape 1 it is Phi**2.
    for z in (-2.0, -4.0, -9.0, -30.0):
        assert _log_cdf(z, 1.0) == pytest.approx(2 * norm.logcdf(z), rel=1e-6)
        mirrored = norm.logcdf(z) + np.log1p(norm.sf(z))
        assert _log_cdf(z, -1.0) == pytest.approx(mirrored, rel=1e-6)
    for shape in (-20.0, 20.0):
        steps = [_log_cdf(z, shape) for z in (-8.0, -4.0, -0.5, 0.1, 1.0)]
        assert np.isfinite(steps).all()
        assert steps == sorted(steps)


@pytest.mark.parametrize(
    "references",
    [[2.0] * 30, [0.1] * 30, [1.0, 2.0, 3.0], np.r_[np.zeros(50), 1.0], np.arange(8) ** 4.0,
     -np.log(np.arange(1, 300) / 300)],
    ids=["equal", "rounded", "few", "spike", "steep", "exponential"],
)  # fmt: skip
def test_fits_that_fail_still_give_a_number(references: list[float]) -> None:
    values = [extrapolated_exposure(canary, references) for canary in (-3.0, 0.0, 2.0, 9.0)]
    assert np.isfinite(values).all()
    assert values == sorted(values, reverse=True)
    assert values[-1] >= 0.0


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="reference"):
        exposure(1.0, [])
    with pytest.raises(ValueError, match="NaN"):
        exposure(float("nan"), [1.0])
    with pytest.raises(ValueError, match="infinite"):
        extrapolated_exposure(1.0, [1.0, float("inf")])
