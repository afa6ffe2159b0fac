"""Budget: from options and a client's work to noise, rounds and the clients' defence.

The one place where that is decided. What a budget covers, from whom, and what it does not cover is
in ``docs/decisions/differential-privacy.md``.
"""

import bisect
import math
from dataclasses import dataclass
from typing import Any

from fedseed.errors import ConfigError
from fedseed.privacy.accounting import (
    calibrate,
    calibrate_randomised_response,
    randomised_response_spent,
    spent,
)
from fedseed.privacy.counting import (
    Counted,
    OfNorm,
    OfNumbers,
    calibrate_counting,
    counting_spent,
)
from fedseed.privacy.mechanisms import Defence
from fedseed.privacy.options import DifferentialPrivacyOptions
from fedseed.privacy.protection import CountingNoise, DpSgd, Protection, RandomisedResponse
from fedseed.training.dp_sgd import sampling_rate

DELTA = 1e-5
"""Without ``--delta``."""
_MOST_NOISE = 1e6


@dataclass(frozen=True)
class ClientWork:
    """What a client does that privacy is spent on; of all clients the worst placed one."""

    rounds: int
    steps: int
    """Training steps of one round."""
    batch_size: int
    smallest_shard: int
    """Examples of the smallest client, of which an example is sampled most often."""
    releases: int = 1
    """Noisy releases of one round, without DP-SGD."""
    public_texts: int = 0
    """Texts that are labelled in a round."""
    share: float = 1.0
    """Of the noise's variance that each client adds, where noise is shared."""
    numbers: int | None = None
    """Whole numbers that one example changes by 1, of protocols that count; None where the norm of
    all numbers of a client is what is bounded."""


@dataclass(frozen=True)
class Budget:
    """What a run spends, as it stands in record.json."""

    unit: str
    epsilon: float
    """Spent on each client, or on each example of it, when all rounds within the budget are run."""
    delta: float
    noise: float | None
    clip: float | None
    mechanism: str
    rounds_within_budget: int
    rounds_asked: int
    epsilon_each: float = 0.0
    """Of one label under randomised response."""

    def to_record(self) -> dict[str, Any]:
        """The values; JSON has no infinity: without noise epsilon is null."""
        finite = round(self.epsilon, 6) if math.isfinite(self.epsilon) else None
        return {
            "unit": self.unit, "epsilon": finite, "delta": self.delta, "noise": self.noise,
            "clip": self.clip, "mechanism": self.mechanism,
            "rounds_within_budget": self.rounds_within_budget,
        }  # fmt: skip

    def __str__(self) -> str:
        """One line for a terminal."""
        noise = "" if self.noise is None else f" with noise {self.noise:g}"
        clip = "" if self.clip is None else f", clip {self.clip:g}"
        return (
            f"privacy of each {self.unit}: {self.mechanism}{noise}{clip}; "
            f"{self.rounds_within_budget} of {self.rounds_asked} rounds spend "
            f"epsilon = {self.epsilon:.3g} at delta = {self.delta:g}"
        )


@dataclass(frozen=True)
class _Gaussian:
    """Gaussian noise, as it is accounted for."""

    name: str
    steps: int
    """Noisy releases of one round."""
    rate: float = 1.0
    """Probability with which an example takes part in each."""
    sensitivity: float = 1.0
    """In units of the clip, or of a score's range."""

    def cost(self, noise: float, rounds: int, delta: float) -> float:
        """Epsilon of so many rounds."""
        return spent(noise / self.sensitivity, self.rate, rounds * self.steps, delta)

    def calibrate(self, epsilon: float, rounds: int, delta: float) -> float:
        """The noise with which so many rounds cost at most epsilon."""
        return self.sensitivity * calibrate(epsilon, delta, self.rate, rounds * self.steps)


@dataclass(frozen=True)
class _Counting:
    """Discrete Gaussian noise on whole numbers that are told once, as it is accounted for."""

    name: str
    bound: Counted
    share: float

    def cost(self, noise: float, rounds: int, delta: float) -> float:  # noqa: ARG002  # once
        """Epsilon of a run."""
        return counting_spent(noise, self.bound, delta, self.share)

    def calibrate(self, epsilon: float, rounds: int, delta: float) -> float:  # noqa: ARG002
        """The noise with which a run costs at most epsilon."""
        return calibrate_counting(epsilon, delta, self.bound, self.share)


def make_budget(
    options: DifferentialPrivacyOptions, protection: Protection, work: ClientWork
) -> Budget:
    """Decide noise and rounds.

    Args:
        options: those of privacy, which fit the protection.
        protection: how the protocol protects.
        work: what a client does.

    Raises:
        ConfigError: not one round is within the budget.
    """
    assert options.privacy is not None
    delta = DELTA if options.delta is None else options.delta
    if isinstance(protection, RandomisedResponse):
        return _randomised_response(options, work, delta)
    mechanism = _mechanism(protection, work, options.clip)
    noise, rounds = options.noise, work.rounds
    if noise is None:
        assert options.epsilon is not None
        noise = mechanism.calibrate(options.epsilon, rounds, delta)
        if noise > _MOST_NOISE:
            raise ConfigError(f"--epsilon {options.epsilon:g} asks for endless noise: raise it")
    elif options.epsilon is not None:
        rounds = _affordable(mechanism, work.rounds, options.epsilon, noise, delta)
    cost = mechanism.cost(noise, rounds, delta)
    return Budget(
        options.privacy, cost, delta, noise, options.clip, mechanism.name, rounds, work.rounds
    )


def _randomised_response(
    options: DifferentialPrivacyOptions, work: ClientWork, delta: float
) -> Budget:
    assert options.epsilon is not None
    answers = work.rounds * work.public_texts
    each = calibrate_randomised_response(options.epsilon, delta, answers)
    cost = randomised_response_spent(each, answers, delta)
    name = f"randomised response, epsilon {each:.3g} a label"
    return Budget("client", cost, delta, None, None, name, work.rounds, work.rounds, each)


def _mechanism(
    protection: Protection, work: ClientWork, clip: float | None
) -> _Gaussian | _Counting:
    """What clients do in one round under noise."""
    if isinstance(protection, CountingNoise):
        shared = "a share of the " if work.share < 1 else ""
        name = f"{shared}discrete Gaussian noise on {protection.on}"
        bound = OfNorm(clip or 0.0) if work.numbers is None else OfNumbers(work.numbers)
        return _Counting(name, bound, work.share)
    if isinstance(protection, DpSgd):
        rate = sampling_rate(work.batch_size, work.smallest_shard)
        return _Gaussian("DP-SGD", work.steps, rate)
    assert not isinstance(protection, RandomisedResponse)
    return _Gaussian(
        f"Gaussian noise on {protection.on}", work.releases, sensitivity=protection.sensitivity
    )


def _affordable(
    mechanism: _Gaussian | _Counting, rounds: int, epsilon: float, noise: float, delta: float
) -> int:
    """The most rounds within the budget.

    Raises:
        ConfigError: there is not one.
    """
    one, whole = (mechanism.cost(noise, count, delta) for count in (1, rounds))
    if one > epsilon:
        raise ConfigError(
            f"one round costs epsilon = {one:.4g} at --noise {noise:g}, more than --epsilon "
            f"{epsilon:g}: raise one of them"
        )
    if whole <= epsilon:
        return rounds
    return bisect.bisect_right(
        range(1, rounds), epsilon, key=lambda count: mechanism.cost(noise, count, delta)
    )


def make_defence(
    options: DifferentialPrivacyOptions,
    protection: Protection,
    work: ClientWork,
    most_batch: int | None = None,
) -> Defence:
    """What one client does before it answers.

    Options of a simulation come with their noise; a client of a deployment decides on it itself.

    Args:
        options: those of privacy, with ``--privacy``.
        protection: how the protocol protects.
        work: what the client does.
        most_batch: examples of one step that are accounted for; None when the server is this
            process.

    Raises:
        ConfigError: not one round is within the budget.
    """
    noise, each = options.noise, 0.0
    if noise is None:
        budget = make_budget(options, protection, work)
        noise, each = budget.noise, budget.epsilon_each
    return Defence(
        options.privacy, options.clip or 0.0, noise or 0.0, each, work.steps, work.releases,
        most_batch, work.share,
    )  # fmt: skip
