"""Successive halving over clients (Jamieson & Talwalkar 2016, algorithm 1)."""

from collections.abc import Sequence

from fedseed.recipe import Recipe
from fedseed.recipe_search.base import Proposals, RecipeSearch, Trial, in_turn, weighted_losses


class SuccessiveHalving(RecipeSearch):
    """Many recipes at first, fewer each round, each then tried by more clients.

    The resource that grows is the number of clients behind a score, not the training steps:
    the first round spreads one recipe a client over the space, and each round keeps the best
    so that about one is left at the end. Scores of all rounds count. A recipe without a
    believable score is kept for the next round rather than judged.
    """

    name = "halving"

    def _begin(self) -> None:
        self._candidates: list[Recipe] = []
        self._trials: list[Trial] = []
        self._start = 0
        self._round = 0

    def propose(self, round_number: int, cohort: Sequence[int], each: int) -> Proposals:
        """See :class:`RecipeSearch`."""
        self._round = round_number
        if not self._candidates:
            self._start = max(2, len(cohort) * each)
            points = self.space.spread(self._start - 1, self._rng(round_number))
            first = self.space.recipe(self.space.clip(self.space.point(self.given)))
            self._candidates = [first, *(self.space.recipe(point) for point in points)]
        return in_turn(self._candidates, cohort, each, offset=round_number - 1)

    def update(self, trials: Sequence[Trial]) -> None:
        """See :class:`RecipeSearch`."""
        self._trials += trials
        keep = max(1, round(self._start ** (1 - self._round / self.rounds)))
        losses = weighted_losses(self._trials)
        scored = sorted(
            (recipe for recipe in self._candidates if recipe in losses),
            key=lambda recipe: (losses[recipe][0], recipe.encode()),
        )
        unscored = [recipe for recipe in self._candidates if recipe not in losses]
        last = self._round >= self.rounds
        self._candidates = scored[:keep] + ([] if last else unscored) or self._candidates

    def aggregated(self) -> Recipe:
        """See :class:`RecipeSearch`: the candidate of the lowest mean loss."""
        losses = weighted_losses(self._trials)
        scored = [recipe for recipe in self._candidates if recipe in losses]
        if not scored:
            return self.given
        return min(scored, key=lambda recipe: (losses[recipe][0], recipe.encode()))
