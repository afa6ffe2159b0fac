"""Differentially private training: its settings, who takes part in a step, and the noise.

DP-SGD (Abadi et al. 2016, arXiv 1607.00133, algorithm 1): a step takes each example with one
probability, clips the L2 norm of every example's gradient over all trained weights together, adds
Gaussian noise to every coordinate of the sum, and divides by the expected number of examples. What
that is worth is accounted for in ``fedseed.privacy``.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedseed.data.splits import Rows
from fedseed.errors import ConfigError

_SLACK = 1 + 2e-6
"""Norms are taken for so much larger, so that rounding in fp32 lets none pass the clip."""
_STATE_WORDS = 624
_STATE_BYTES = 5056


@dataclass(frozen=True)
class DpSgd:
    """How gradients are clipped and noised."""

    clip: float
    """Largest L2 norm of one example's gradient, above 0."""
    noise: float
    """Standard deviation of the noise on the sum of the clipped gradients, in units of ``clip``; at
    least 0."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: a value is out of its range.
        """
        if not (math.isfinite(self.clip) and self.clip > 0):
            raise ConfigError(f"the clip is {self.clip}: give a number above 0")
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ConfigError(f"the noise is {self.noise}: give a number of at least 0")


def sampling_rate(batch_size: int, examples: int) -> float:
    """Probability with which each example takes part in a step: batch size / examples, at most 1.

    Raises:
        ConfigError: there is no example.
    """
    if examples < 1:
        raise ConfigError("differentially private training needs at least one example")
    return min(1.0, batch_size / examples)


def poisson_sample(rows: Rows, rate: float, rng: np.random.Generator) -> Rows:
    """Take each row independently with one probability; the sample may be empty."""
    return rows[rng.random(len(rows)) < rate]


class Mechanism:
    """One training run's clipping and noise; can be deep-copied between steps.

    Attributes:
        expected: expected number of examples in a step.
        rate: sampling rate.
        deviation: standard deviation of the noise on the sum.
    """

    def __init__(
        self, settings: DpSgd, batch_size: int, examples: int, rng: np.random.Generator
    ) -> None:
        """Start a run.

        Args:
            settings: clip and noise.
            batch_size: the recipe's.
            examples: the job's rows.
            rng: draws what decides the noise.

        Raises:
            ConfigError: there is no example.
        """
        self.rate = sampling_rate(batch_size, examples)
        self.expected = self.rate * examples
        self.deviation = settings.noise * settings.clip
        self._clip = settings.clip
        self._bits = np.random.PCG64([int(part) for part in rng.integers(2**63, size=2)])

    def factors(self, squares: Tensor) -> Tensor:
        """What each example's gradient is multiplied by.

        Args:
            squares: squared L2 norms of the examples' gradients, shape ``(examples,)``.

        Returns:
            ``min(1, clip / norm)``, and 0 where the norm is not finite; of the same shape.
        """
        factors = (self._clip / (squares.sqrt() * _SLACK)).clamp(max=1.0)
        return factors.masked_fill(~squares.isfinite(), 0.0)

    def generator(self, device: torch.device) -> torch.Generator:
        """The source of one step's noise, another one at every call.

        Torch's generator on a CPU takes only 32 bits of a seed, few enough to try them all and
        subtract the noise; its whole state is set instead.
        """
        generator = torch.Generator(device)
        generator.manual_seed(int(self._bits.random_raw()) >> 1)
        if device.type == "cpu":
            state = generator.get_state()
            assert len(state) == _STATE_BYTES, "torch has changed the state of its generator"
            words = state.numpy().view(np.uint64)  # seed, counters, then the Mersenne Twister
            words[3 : 3 + _STATE_WORDS] = self._bits.random_raw(_STATE_WORDS) >> np.uint64(32)
            generator.set_state(state)
        return generator

    def fill(self, total: Tensor, generator: torch.Generator) -> None:
        """Overwrite a tensor with noise, to which the clipped gradients are added."""
        if self.deviation:
            total.normal_(0.0, self.deviation, generator=generator)
        else:
            total.zero_()
