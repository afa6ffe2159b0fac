"""Exponentiated gradient over a recipe population: FedEx (Khodak et al. 2021, algorithm 2)."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedseed.recipe import Recipe
from fedseed.recipe_search.base import Proposals, RecipeSearch, Trial, capped, in_turn

_POPULATION = 9
_LEAST_PROBABILITY = 1e-4
"""Least probability of a recipe, so that the importance weights stay bounded."""


class ExponentiatedGradient(RecipeSearch):
    """A probability for every recipe of a fixed population, moved by the clients' losses.

    Clients draw recipes from the distribution. A loss above the round's mean lowers the
    probability of its recipe, one below raises it, with FedEx's importance weights and its
    step size sqrt(2 log k) over the largest gradient.
    """

    name = "fedex"

    def _begin(self) -> None:
        points = self.space.spread(_POPULATION - 1, self._rng(0))
        first = self.space.recipe(self.space.clip(self.space.point(self.given)))
        self._population = [first, *(self.space.recipe(point) for point in points)]
        self._probability: NDArray[np.float64] = np.full(_POPULATION, 1 / _POPULATION)
        self._tried: set[int] = set()

    def propose(self, round_number: int, cohort: Sequence[int], each: int) -> Proposals:
        """See :class:`RecipeSearch`: systematic sampling from the distribution."""
        count = len(cohort) * each
        rng = self._rng(round_number)
        places = (np.arange(count) + rng.random()) / count
        chosen = np.searchsorted(np.cumsum(self._probability), places, side="right")
        drawn = [self._population[min(int(at), _POPULATION - 1)] for at in rng.permutation(chosen)]
        return in_turn(drawn, cohort, each, offset=0)

    def update(self, trials: Sequence[Trial]) -> None:
        """See :class:`RecipeSearch`."""
        if not trials:
            return
        ordered = capped(trials)
        weights = np.array([weight for _, weight in ordered])
        losses = np.array([trial.loss for trial, _ in ordered])
        baseline = float(weights @ losses / weights.sum())
        gradient = np.zeros(_POPULATION)
        for trial, weight in ordered:
            at = self._population.index(trial.recipe)
            self._tried.add(at)
            gradient[at] += weight * (trial.loss - baseline) / self._probability[at]
        gradient /= weights.sum()
        largest = float(np.abs(gradient).max())
        if largest > 0:
            step = math.sqrt(2 * math.log(_POPULATION)) / largest
            moved = self._probability * np.exp(-step * gradient)
            moved = np.maximum(moved / moved.sum(), _LEAST_PROBABILITY)
            self._probability = moved / moved.sum()

    def aggregated(self) -> Recipe:
        """See :class:`RecipeSearch`: the most probable of the recipes that were tried."""
        if not self._tried:
            return self.given
        return self._population[max(sorted(self._tried), key=lambda at: self._probability[at])]
