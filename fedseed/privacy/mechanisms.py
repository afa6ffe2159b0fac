"""Mechanisms of privacy: what a client does to its answer before it leaves, and how it is read.

Every client noises its own answer, so that nobody need trust the server. A defence says what is
protected: one example of a client (DP-SGD: its training is noised, and what comes of it may be
sent), or all of a client's examples (what it sends is noised, so that any two clients' answers look
alike).
``fedseed.privacy.budget`` makes it of a run's options, and accounts for it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.privacy.protection import Unit
from fedseed.training.dp_sgd import DpSgd

_SLACK = 1 + 1e-6
"""Norms are taken for so much larger, so that rounding in fp32 lets none pass the clip."""
_FURTHEST = 12
"""Standard deviations beyond which no noise is drawn: the probability there is below 1e-32."""
_MOST_GUESSES = 99
"""A loss is believable up to 100 times that of guessing; rounding may add a little."""


@dataclass(frozen=True)
class Defence:
    """What one client does before it answers."""

    unit: Unit | None = None
    """What differential privacy protects; None when nothing is noised."""
    clip: float = 0.0
    """Largest L2 norm of an example's gradient, or of a client's change of the weights."""
    noise: float = 0.0
    """Standard deviation of the noise, in units of the clip, of a score's range, or of counts."""
    epsilon_each: float = 0.0
    """Of one label under randomised response."""
    most_steps: int = 0
    """Steps of one round that are accounted for."""
    most_releases: int = 1
    """Noisy releases of one round that are accounted for, such as scores of recipes."""
    most_batch: int | None = None
    """Examples of one step that are accounted for; None when the server is this process."""
    share: float = 1.0
    """Of the noise's variance that this client adds: less than all under secure aggregation."""

    @property
    def by_client(self) -> bool:
        """Whether the answer itself is noised."""
        return self.unit == "client"

    @property
    def own_noise(self) -> float:
        """Standard deviation of this client's part of the noise of summed counts."""
        return self.noise * (self.clip or 1.0) * math.sqrt(self.share)

    @property
    def dp_sgd(self) -> DpSgd | None:
        """How the client trains; None for training without noise."""
        return DpSgd(self.clip, self.noise) if self.unit == "example" and self.clip else None


def noisy_vector(
    vector: NDArray[np.float32], clip: float, noise: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The Gaussian mechanism: clip the L2 norm, then add noise to every entry.

    Any two results differ by noise around points that are at most ``2 * clip`` apart, which is the
    L2 sensitivity when one client's data are replaced by any other.

    Args:
        vector: shape ``(n,)``; one that is not finite counts as zero.
        clip: largest L2 norm, above 0.
        noise: standard deviation in units of the clip.
        rng: draws the noise.
    """
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    scale = min(1.0, clip / (norm * _SLACK)) if norm > 0 else 1.0
    if not math.isfinite(norm):
        vector, scale = np.zeros_like(vector), 1.0
    drawn = rng.standard_normal(len(vector), dtype=np.float32)
    return vector * np.float32(scale) + np.float32(noise * clip) * drawn


def discrete_gaussian(deviation: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Whole numbers of a discrete Gaussian (Canonne, Kamath and Steinke 2020, arXiv 2004.00010).

    The probability of k is in proportion to exp(-k^2 / (2 deviation^2)); numbers are drawn by the
    inverse of the cumulative distribution, in 53 bits.

    Args:
        deviation: about the standard deviation, at least 0 and at most 1e6.
        count: how many.
        rng: draws them.
    """
    if deviation == 0:
        return np.zeros(count, dtype=np.int64)
    furthest = math.ceil(_FURTHEST * deviation)
    values = np.arange(-furthest, furthest + 1)
    often = np.exp(-0.5 * np.square(values / deviation))
    cumulative = np.cumsum(often / often.sum())
    places = np.searchsorted(cumulative[:-1], rng.random(count), side="right")
    return np.asarray(values[places], dtype=np.int64)


def keep_probability(epsilon_each: float, classes: int) -> float:
    """Probability that randomised response over so many classes reports the true one."""
    # exp(epsilon) / (exp(epsilon) + classes - 1), for any epsilon.
    return 1 / (1 + (classes - 1) * math.exp(-epsilon_each))


def randomised_response(
    labels: NDArray[np.integer], epsilon_each: float, classes: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Randomised response over several classes (Kairouz, Bonawitz and Ramage 2016, section 4.1).

    Args:
        labels: true classes, shape ``(n,)``, in [0, classes).
        epsilon_each: of one label, at least 0.
        classes: at least 2.
        rng: decides which labels are kept, and what the others become.

    Returns:
        Classes of shape ``(n,)``: the true one with :func:`keep_probability`, else any other, all
        alike.
    """
    kept = rng.random(len(labels)) < keep_probability(epsilon_each, classes)
    others = (labels + rng.integers(1, classes, len(labels))) % classes
    return np.where(kept, labels, others).astype(np.int64)


def unbiased_shares(shares: NDArray[np.float32], epsilon_each: float) -> NDArray[np.float32]:
    """Estimate the shares of true classes from those of randomised ones.

    Args:
        shares: means of one-hot randomised labels, shape ``(texts, classes)``.
        epsilon_each: of one label; above 0.

    Returns:
        The unbiased estimate, brought into [0, 1] and to a sum of 1 by text: shape as before.
    """
    classes = shares.shape[1]
    kept = keep_probability(epsilon_each, classes)
    replaced = (1 - kept) / (classes - 1)
    unbiased = (shares.astype(np.float64) - replaced) / (kept - replaced)
    clipped = np.clip(unbiased, 0.0, 1.0)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True), dtype=np.float32)


def worst_loss(classes: int) -> float:
    """The largest validation loss that a client reports: twice that of guessing, in nats."""
    return 2 * math.log(classes)


def noisy_loss(loss: float, classes: int, noise: float, rng: np.random.Generator) -> float:
    """The Gaussian mechanism for a validation loss.

    The loss is clipped to [0, :func:`worst_loss`], whose length is the sensitivity. What leaves the
    believable numbers is brought back, which costs no privacy.

    Args:
        loss: nats; NaN or infinity for training that diverged.
        classes: number of classes.
        noise: standard deviation in units of the range.
        rng: draws the noise.
    """
    worst = worst_loss(classes)
    clipped = min(max(loss, 0.0), worst) if math.isfinite(loss) else worst
    noisy = clipped + noise * worst * float(rng.standard_normal())
    return min(max(noisy, 0.0), _MOST_GUESSES * math.log(classes))


def coarse_metrics(loss: float, correct: int, examples: int, digits: int) -> tuple[float, int]:
    """A loss and an accuracy rounded to some decimals, still believable together.

    An error costs at least ln 2 (:func:`fedseed.protocols.recipe.messages.why_absurd`); where
    rounding would break that, the loss is the next larger decimal that does not.

    Args:
        loss: validation loss, nats.
        correct: correct predictions.
        examples: of so many, at least 1.
        digits: decimals, at least 0.

    Returns:
        The loss, and the number of correct predictions that the rounded accuracy stands for.
    """
    reported = round(round(correct / examples, digits) * examples)
    least = (1 - reported / examples) * math.log(2)
    step = 10.0**digits
    return max(round(loss, digits), round(math.ceil(least * step) / step, digits)), reported
