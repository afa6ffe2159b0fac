"""Weighted mean in log space: a cross-entropy search (Rubinstein 1999) over clients."""

import math
from collections.abc import Sequence

import numpy as np

from fedseed.recipe import Recipe
from fedseed.recipe_search.base import Proposals, RecipeSearch, Trial, weighted_losses
from fedseed.recipe_search.space import Points

_TEMPERATURE = 0.25
"""Spread of losses, in standard deviations, over which a weight falls by a factor of e."""
_NARROWEST = 0.2
"""Least spread of the proposals, as a factor in log space."""


class LogMean(RecipeSearch):
    """Recipes are averaged as geometric means, weighted by how well they did.

    The first round covers the space. Every later round draws recipes around the weighted mean
    of all scores so far, as wide as the weighted spread. A mean over many noisy scores is
    steadier than the best of them.
    """

    name = "log-mean"

    def _begin(self) -> None:
        self._trials: list[Trial] = []

    def propose(self, round_number: int, cohort: Sequence[int], each: int) -> Proposals:
        """See :class:`RecipeSearch`."""
        count = len(cohort) * each
        rng = self._rng(round_number)
        fitted = self._fit()
        if fitted is None:
            points = self.space.spread(count, rng)
            points[0] = self.space.point(self.given)
        else:
            mean, deviation = fitted
            points = mean + deviation * rng.standard_normal((count, 2))
            points[0] = mean
        recipes = [self.space.recipe(point) for point in self.space.clip(points)]
        return {pid: recipes[at * each : (at + 1) * each] for at, pid in enumerate(cohort)}

    def update(self, trials: Sequence[Trial]) -> None:
        """See :class:`RecipeSearch`."""
        self._trials += trials

    def _fit(self) -> tuple[Points, Points] | None:
        """Weighted mean and standard deviation of the points, shape ``(2,)`` each."""
        losses = weighted_losses(self._trials)
        if not losses:
            return None
        points = np.array([self.space.point(recipe) for recipe in losses])
        values = np.array([loss for loss, _ in losses.values()])
        counts = np.array([weight for _, weight in losses.values()])
        scale = max(float(values.std()) * _TEMPERATURE, 1e-9)
        weights = counts * np.exp(-(values - values.min()) / scale)
        weights /= weights.sum()
        mean = weights @ points
        deviation = np.sqrt(weights @ (points - mean) ** 2)
        return mean, np.maximum(deviation, math.log1p(_NARROWEST))

    def aggregated(self) -> Recipe:
        """See :class:`RecipeSearch`: the weighted geometric mean."""
        fitted = self._fit()
        return self.given if fitted is None else self.space.recipe(self.space.clip(fitted[0]))
