"""Exposure of canaries: how far a planted text stands out from texts that were never planted.

A canary is drawn at random from a space of texts and put into a client's data; reference texts are
drawn from the same space and put nowhere. A model that has memorised the canary gives it a lower
loss than nearly all of them (Carlini et al. 2019, "The Secret Sharer", sec. 4).
"""

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_SHAPE = 20.0
"""Skew-normal shape beyond which a fit has run away: its lower tail then ends at a wall."""
_FEWEST_TO_FIT = 8
_TAIL = 50.0
"""How far a tail is integrated, in units in which it falls at least by e a unit."""


def most(references: int) -> float:
    """Highest exposure, in bits, that this number of reference texts can show."""
    return math.log2(references + 1)


def exposure(canary_loss: float, reference_losses: ArrayLike) -> float:
    """Exposure of a canary in bits: log2 |R| - log2 rank (Carlini et al. 2019, definition 4).

    R are the reference texts and the canary itself; rank 1 is the lowest loss. A reference text
    of the same loss counts as half a text before the canary.

    Args:
        canary_loss: the model's loss on the canary, in nats or bits.
        reference_losses: losses on reference texts, in the same unit, shape ``(references,)``.

    Returns:
        A number in [0, ``most(references)``]; about 1.44 (1 / ln 2) on average for a canary that
        the model has never seen.

    Raises:
        ValueError: there are no references, or a loss is NaN.
    """
    losses = _checked(canary_loss, reference_losses)
    before = (losses < canary_loss).sum() + (losses == canary_loss).sum() / 2
    return most(len(losses)) - math.log2(1.0 + float(before))


def _checked(canary_loss: float, reference_losses: ArrayLike) -> NDArray[np.float64]:
    losses = np.asarray(reference_losses, dtype=np.float64).ravel()
    if not len(losses):
        raise ValueError("exposure needs reference texts")
    if math.isnan(canary_loss) or np.isnan(losses).any():
        raise ValueError("a loss is NaN")
    return losses


def extrapolated_exposure(canary_loss: float, reference_losses: ArrayLike) -> float:
    """Exposure in bits beyond what counting can show (Carlini et al. 2019, sec. 4.3).

    -log2 P(loss <= canary_loss) under a skew-normal distribution fitted to the reference losses
    by maximum likelihood. It is only as good as the fit's lower tail, where there are few losses
    or none: beyond ``most(references)`` it is an extrapolation, to be printed as one.

    When the fit runs away (few or odd losses), a normal distribution of the same mean and
    deviation is used; with fewer than 8 reference losses, or equal ones, :func:`exposure`.

    Args:
        canary_loss: the model's loss on the canary.
        reference_losses: losses on reference texts, shape ``(references,)``.

    Returns:
        A number of at least 0.

    Raises:
        ValueError: there are no references, or a loss is NaN or infinite.
    """
    losses = _checked(canary_loss, reference_losses)
    if not (math.isfinite(canary_loss) and np.isfinite(losses).all()):
        raise ValueError("a loss is infinite: no distribution can be fitted")
    deviation = float(losses.std())
    # Rounding alone gives equal losses a deviation of some 1e-16.
    if len(losses) < _FEWEST_TO_FIT or deviation <= 1e-12 * max(1.0, abs(float(losses.mean()))):
        return exposure(canary_loss, losses)
    mean = float(losses.mean())
    shape, place, scale = _fit((losses - mean) / deviation)
    log_share = _log_cdf(((canary_loss - mean) / deviation - place) / scale, shape)
    return max(0.0, -log_share / math.log(2.0))


def _fit(standardised: NDArray[np.float64]) -> tuple[float, float, float]:
    """Shape, location and scale of a skew-normal distribution of losses of mean 0, deviation 1."""
    from scipy.stats import FitError, skewnorm

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # overflows on the optimiser's way
            shape, place, scale = (float(value) for value in skewnorm.fit(standardised))
    except (FitError, FloatingPointError, ValueError):
        return 0.0, 0.0, 1.0
    sound = all(map(math.isfinite, (shape, place, scale))) and scale > 0
    return (shape, place, scale) if sound and abs(shape) <= _MOST_SHAPE else (0.0, 0.0, 1.0)


def _log_cdf(z: float, shape: float) -> float:
    """Logarithm of P(Z <= z) of a standard skew-normal Z, accurate far out in its lower tail.

    scipy's distribution function is a difference of two numbers that loses all digits there. The
    density is log-concave (Azzalini 1985): below z it falls at least as fast as its slope at z
    says, so that ``_TAIL`` of these units hold all but e**-50 of the tail.
    """
    from scipy.integrate import quad
    from scipy.special import log_ndtr
    from scipy.stats import skewnorm

    near = float(skewnorm.cdf(z, shape))
    if near > 1e-4:
        return math.log(min(near, 1.0))

    def log_density(at: float) -> float:
        normal = -at * at / 2 - math.log(2 * math.pi) / 2
        return math.log(2.0) + normal + float(log_ndtr(shape * at))

    hazard = -(shape**2) * z * z / 2 - math.log(2 * math.pi) / 2 - float(log_ndtr(shape * z))
    slope = -z + shape * math.exp(hazard)
    top = log_density(z)
    area = quad(lambda u: math.exp(log_density(z - u / slope) - top), 0.0, _TAIL)[0]
    return top + math.log(area / slope)
