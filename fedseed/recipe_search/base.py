"""What every recipe search does: propose recipes, take scores, name the aggregate."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.recipe_search.space import RecipeSpace


@dataclass(frozen=True)
class Trial:
    """One recipe as one client found it."""

    partition_id: int
    recipe: Recipe
    loss: float
    """Validation loss in nats, finite; checked already (protocols/recipe/messages.py)."""
    weight: float
    """Validation examples behind the loss, above 0."""


Proposals = dict[int, list[Recipe]]
"""Recipes to try, by partition."""


class RecipeSearch(ABC):
    """A federated search that sees scores only. Same seed and scores, same proposals.

    The score of a client whose reply was lost or not believed is simply missing: no
    search needs a reply from anyone.
    """

    name: ClassVar[str]

    def __init__(self, space: RecipeSpace, given: Recipe, rounds: int, run_seed: int) -> None:
        """Start a search.

        Args:
            space: where to search.
            given: the recipe that the search starts from.
            rounds: number of rounds the search will have.
            run_seed: the run's seed.
        """
        self.space = space
        self.given = given
        self.rounds = rounds
        self._run_seed = run_seed
        self._begin()

    def _begin(self) -> None:  # noqa: B027  # not every search has a state to begin with
        """Set up the state of this search."""

    def _rng(self, round_number: int) -> np.random.Generator:
        return generator(self._run_seed, f"aggregator-{self.name}", round_number)

    @abstractmethod
    def propose(self, round_number: int, cohort: Sequence[int], each: int) -> Proposals:
        """Return ``each`` recipes for every partition of the cohort."""

    @abstractmethod
    def update(self, trials: Sequence[Trial]) -> None:
        """Take the scores of the round proposed last; their order does not matter."""

    @abstractmethod
    def aggregated(self) -> Recipe:
        """The recipe that the scores so far speak for; the given one without any score."""


def in_turn(recipes: Sequence[Recipe], cohort: Sequence[int], each: int, offset: int) -> Proposals:
    """Assign recipes to clients in turn, so that each is tried about equally often.

    Args:
        recipes: the recipes to try.
        cohort: partitions that try them.
        each: recipes for one partition.
        offset: where to start; the round, so that a client does not keep its recipe.
    """
    turns = iter(range(offset, offset + len(cohort) * each))
    return {pid: [recipes[next(turns) % len(recipes)] for _ in range(each)] for pid in cohort}


def capped(trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """Trials in order of partition, with weights of at most three times the median one."""
    if not trials:
        return []
    cap = 3 * float(np.median([trial.weight for trial in trials]))
    ordered = sorted(trials, key=lambda trial: (trial.partition_id, trial.recipe.encode()))
    return [(trial, min(trial.weight, cap)) for trial in ordered]


def weighted_losses(trials: Sequence[Trial]) -> Mapping[Recipe, tuple[float, float]]:
    """Weighted mean loss and total weight of every recipe.

    Weights are capped, so that a claim of a million examples steers nothing.
    """
    sums: dict[Recipe, tuple[float, float]] = {}
    for trial, weight in capped(trials):
        loss, total = sums.get(trial.recipe, (0.0, 0.0))
        sums[trial.recipe] = (loss + weight * trial.loss, total + weight)
    return {recipe: (loss / total, total) for recipe, (loss, total) in sums.items()}
