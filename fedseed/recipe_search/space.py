"""The space of recipes that a federated search looks through."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.recipe import Recipe

Points = NDArray[np.float64]
"""Shape ``(n, 2)``: natural logarithms of the learning rate and the embedding multiplier."""


@dataclass(frozen=True)
class Box:
    """Lowest and highest rates that are searched."""

    learning_rates: tuple[float, float]
    multipliers: tuple[float, float]
    """Of the learning rate, for the word embedding's rows."""
    batches: int = 1
    """Batches that one of the given size becomes: smaller ones, of which more are taken."""


RANDOM = Box((1e-5, 1e-2), (1.0, 30.0))
"""From a random start, where all has to be learnt."""
KNOWING = Box((7e-4, 4e-3), (5.0, 40.0), batches=2)
"""From a seed that knows the task (docs/decisions/gentle-recipes.md)."""


@dataclass(frozen=True)
class RecipeSpace:
    """A box of learning rates and embedding multipliers around one base recipe.

    Both are searched on a logarithmic scale, where equal steps are equal factors.
    """

    base: Recipe
    """Everything but the two rates: optimiser, schedule, steps, batch size, ..."""
    box: Box = RANDOM

    @classmethod
    def around(cls, given: Recipe, steps: int, box: Box = RANDOM) -> "RecipeSpace":
        """The space for improving on a given recipe within a budget of steps.

        Length, dropout and weight decay are the given ones. AdamW with warm-up
        and linear decay replaces a plain Adam or SGD, since a rate can only be compared over
        a short budget when it ends at zero. Label smoothing is at least 0.1: without it the
        validation loss ranks recipes by their confidence rather than by their accuracy
        (docs/decisions/search.md).
        """
        return cls(
            given.replace(
                optimiser="adamw",
                schedule="linear",
                warmup=0.1,
                steps=steps,
                batch_size=max(1, given.batch_size // box.batches),
                label_smoothing=max(0.1, given.label_smoothing),
            ),
            box,
        )

    @property
    def low(self) -> Points:
        """Lower corner of the box, shape ``(2,)``."""
        return np.log([self.box.learning_rates[0], self.box.multipliers[0]])

    @property
    def high(self) -> Points:
        """Upper corner of the box, shape ``(2,)``."""
        return np.log([self.box.learning_rates[1], self.box.multipliers[1]])

    def spread(self, count: int, rng: np.random.Generator) -> Points:
        """``count`` points that cover the box evenly (Latin hypercube, McKay et al. 1979)."""
        from scipy.stats import qmc  # here, because clients need not wait for it

        unit = qmc.LatinHypercube(d=2, rng=rng).random(count)
        return self.low + unit * (self.high - self.low)

    def clip(self, points: Points) -> Points:
        """Move points outside the box to its border."""
        return np.clip(points, self.low, self.high)

    def recipe(self, point: Points) -> Recipe:
        """The recipe of one point, with rates rounded to four digits."""
        rate, multiplier = (float(f"{math.exp(value):.4g}") for value in point)
        return self.base.replace(learning_rate=rate, embedding_multiplier=multiplier)

    def point(self, recipe: Recipe) -> Points:
        """The point of a recipe, shape ``(2,)``."""
        return np.log([recipe.learning_rate, recipe.embedding_multiplier])
