"""Budget: from a run's options and shards to noise, rounds and the clients' defence.

The one place where that is decided. What a budget covers, from whom, and what it does not cover is
in ``docs/decisions/differential-privacy.md``.
"""

import bisect
import math
from dataclasses import dataclass
from typing import Any

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.errors import ConfigError
from fedseed.privacy.accounting import (
    calibrate,
    calibrate_randomised_response,
    randomised_response_spent,
    spent,
)
from fedseed.privacy.mechanisms import Defence
from fedseed.recipe import Recipe

DELTA = 1e-5
"""Without ``--delta``."""
_MOST_NOISE = 1e6


@dataclass(frozen=True)
class Mechanism:
    """What one round costs a client, the worst placed one."""

    name: str
    steps: int
    """Noisy releases of one round."""
    rate: float = 1.0
    """Probability with which an example takes part in each."""
    sensitivity: float = 1.0
    """In units of the noise's: the clip, or the range of a score."""

    def cost(self, noise: float, rounds: int, delta: float) -> float:
        """Epsilon of so many rounds."""
        return spent(noise / self.sensitivity, self.rate, rounds * self.steps, delta)

    def calibrate(self, epsilon: float, rounds: int, delta: float) -> float:
        """The noise with which so many rounds cost at most epsilon."""
        return self.sensitivity * calibrate(epsilon, delta, self.rate, rounds * self.steps)


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


def within_budget(
    config: RunConfig, given: Recipe, federated: FederatedDataset
) -> tuple[RunConfig, Budget | None]:
    """Decide noise and rounds.

    Args:
        config: the options.
        given: the recipe by which clients train; its batch size counts.
        federated: the shards; the smallest counts, of which an example is sampled most often.

    Returns:
        The options with delta, noise and the number of rounds that the budget allows, and what they
        spend; the options as they were, and None, without ``--privacy``.

    Raises:
        ConfigError: not one round is within the budget.
    """
    if config.privacy is None:
        return config, None
    delta = DELTA if config.delta is None else config.delta
    if _is_randomised_response(config):
        each = _epsilon_each(config, federated)
        cost = randomised_response_spent(each, config.rounds * _texts(federated), delta)
        name = f"randomised response, epsilon {each:.3g} a label"
        budget = Budget(
            "client", cost, delta, None, None, name, config.rounds, config.rounds
        )  # fmt: skip
        return config.parse(config.model_dump() | {"delta": delta}), budget
    mechanism = mechanism_of(config, given, federated)
    noise, rounds = config.noise, config.rounds
    if noise is None:
        assert config.epsilon is not None
        noise = mechanism.calibrate(config.epsilon, rounds, delta)
        if noise > _MOST_NOISE:
            raise ConfigError(f"--epsilon {config.epsilon:g} asks for endless noise: raise it")
    elif config.epsilon is not None:
        rounds = _affordable(mechanism, config, noise, delta)
    cost = mechanism.cost(noise, rounds, delta)
    budget = Budget(
        config.privacy, cost, delta, noise, config.clip, mechanism.name, rounds, config.rounds
    )
    resolved = {"delta": delta, "noise": noise, "rounds": rounds}
    return config.parse(config.model_dump() | resolved), budget


def mechanism_of(config: RunConfig, given: Recipe, federated: FederatedDataset) -> Mechanism:
    """What clients do in one round under options with Gaussian noise."""
    if config.privacy == "example":
        from fedseed.training.dp_sgd import sampling_rate

        smallest = min(len(part) for part in federated.parts[: config.clients])
        rate = sampling_rate(given.batch_size, smallest)
        return Mechanism("DP-SGD", config.steps, rate)
    if config.protocol == "recipe":
        return Mechanism("Gaussian noise on validation losses", config.recipes_per_client)
    # Any two changes within the clip are at most twice the clip apart.
    return Mechanism("Gaussian noise on the change of weights", 1, sensitivity=2.0)


def defence_of(config: RunConfig, federated: FederatedDataset) -> Defence | None:
    """What a client does; None when there is nothing to do.

    Options of a simulation come with their noise; a client of a deployment decides on it itself, by
    the recipe that its options name.

    Raises:
        ConfigError: not one round is within the budget.
    """
    if config.privacy is None and config.metric_digits is None and config.metric_threshold is None:
        return None
    each = 0.0
    if _is_randomised_response(config):
        each = _epsilon_each(config, federated)
    elif config.privacy is not None and config.noise is None:
        config, _ = within_budget(config, config.given_recipe(), federated)
    return Defence(
        config.privacy, config.clip or 0.0, config.noise or 0.0, each, config.steps,
        config.recipes_per_client, config.metric_digits, config.metric_threshold,
    )  # fmt: skip


def _is_randomised_response(config: RunConfig) -> bool:
    return config.privacy == "client" and config.protocol == "labels"


def _texts(federated: FederatedDataset) -> int:
    assert federated.public is not None
    return len(federated.public.rows)


def _epsilon_each(config: RunConfig, federated: FederatedDataset) -> float:
    assert config.epsilon is not None
    delta = DELTA if config.delta is None else config.delta
    return calibrate_randomised_response(config.epsilon, delta, config.rounds * _texts(federated))


def _affordable(mechanism: Mechanism, config: RunConfig, noise: float, delta: float) -> int:
    """The most rounds within the budget."""
    assert config.epsilon is not None
    one, whole = (mechanism.cost(noise, rounds, delta) for rounds in (1, config.rounds))
    if one > config.epsilon:
        raise ConfigError(
            f"one round costs epsilon = {one:.4g} at --noise {noise:g}, more than --epsilon "
            f"{config.epsilon:g}: raise one of them"
        )
    if whole <= config.epsilon:
        return config.rounds
    return bisect.bisect_right(
        range(1, config.rounds), config.epsilon, key=lambda n: mechanism.cost(noise, n, delta)
    )
