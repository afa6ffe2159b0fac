"""What every recipe aggregator must do; a new one is added by its name."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from fedseed.recipe import Recipe
from fedseed.recipe_search import SEARCHES, find_search, search_names
from fedseed.recipe_search.base import RecipeSearch, Trial, weighted_losses
from fedseed.recipe_search.space import RecipeSpace

GIVEN = Recipe()
BEST = math.log(5e-4)
Score = Callable[[Recipe, int], float]


def clean(recipe: Recipe, _pid: int) -> float:
    """A bowl around a learning rate of 5e-4: 0.5 at the bottom."""
    return 0.5 + 0.03 * (math.log(recipe.learning_rate) - BEST) ** 2


def make(name: str, run_seed: int = 0, rounds: int = 3) -> RecipeSearch:
    made = find_search(name).make(RecipeSpace.around(GIVEN, 90), GIVEN, rounds, run_seed)
    assert isinstance(made, RecipeSearch)
    return made


def search(
    found: RecipeSearch, score: Score, clients: int = 10, each: int = 1, flip: bool = False
) -> Recipe:
    for number in range(1, found.rounds + 1):
        proposals = found.propose(number, list(range(clients)), each)
        trials = [
            Trial(pid, recipe, score(recipe, pid), 100.0)
            for pid, recipes in proposals.items()
            for recipe in recipes
        ]
        found.update(trials[::-1] if flip else trials)
    return found.aggregated()


@pytest.fixture(params=search_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_names() -> None:
    assert len(set(search_names())) == len(SEARCHES)
    for search in SEARCHES:
        assert search.make.name == search.name


@pytest.mark.parametrize(("clients", "each"), [(1, 1), (2, 1), (10, 1), (10, 3), (50, 2)])
def test_everyone_gets_recipes_within_the_budget(name: str, clients: int, each: int) -> None:
    found = make(name)
    for number in range(1, 4):
        proposals = found.propose(number, list(range(clients)), each)
        assert sorted(proposals) == list(range(clients))
        assert all(len(recipes) == each for recipes in proposals.values())
        assert all(recipe.steps <= 90 for recipes in proposals.values() for recipe in recipes)
        found.update([Trial(0, proposals[0][0], 0.6, 10.0)])


def test_finds_a_good_rate(name: str) -> None:
    final = [clean(search(make(name, seed), clean), 0) for seed in range(5)]
    assert max(final) < 0.56
    assert clean(GIVEN, 0) > 0.8


def test_noise_does_not_drown_the_signal(name: str) -> None:
    def noisy(recipe: Recipe, pid: int) -> float:
        rng = np.random.default_rng([pid, int(1e9 * recipe.learning_rate)])
        return clean(recipe, pid) + float(rng.normal(0, 0.05))

    final = [clean(search(make(name, seed), noisy), 0) for seed in range(5)]
    assert float(np.mean(final)) < 0.58


def test_the_order_of_replies_does_not_matter(name: str) -> None:
    assert search(make(name), clean) == search(make(name), clean, flip=True)


def test_the_same_seed_gives_the_same_proposals(name: str) -> None:
    assert search(make(name, 4), clean) == search(make(name, 4), clean)
    first, second = (make(name, seed).propose(1, range(10), 1) for seed in (4, 5))
    assert first != second


def test_without_a_reply_the_given_recipe_stands(name: str) -> None:
    found = make(name)
    for number in range(1, 4):
        found.propose(number, [0, 1], 1)
        found.update([])
    assert found.aggregated() == GIVEN


def test_one_reply_is_enough(name: str) -> None:
    found = make(name)
    recipe = found.propose(1, [0, 1, 2], 1)[1][0]
    found.update([Trial(1, recipe, 0.6, 1.0)])
    for number in (2, 3):
        found.propose(number, [0, 1, 2], 1)
        found.update([])
    gap = math.log(found.aggregated().learning_rate / recipe.learning_rate)
    assert abs(gap) < 1e-3


def test_a_claim_of_a_million_examples_steers_nothing(name: str) -> None:
    def honest_or_not(liar_weight: float) -> Recipe:
        found = make(name)
        for number in range(1, 4):
            proposals = found.propose(number, list(range(10)), 1)
            found.update(
                [
                    Trial(pid, own[0], clean(own[0], pid), liar_weight if pid == 7 else 100.0)
                    for pid, own in proposals.items()
                ]
            )
        return found.aggregated()

    assert honest_or_not(1e7) == honest_or_not(300.0)


def test_weights_are_capped() -> None:
    trials = [Trial(0, GIVEN, 1.0, 1e9), Trial(1, GIVEN, 0.0, 1.0), Trial(2, GIVEN, 0.0, 1.0)]
    assert weighted_losses(trials)[GIVEN] == (pytest.approx(0.6), 5.0)
    for order in itertools.permutations(trials):
        assert weighted_losses(order) == weighted_losses(trials)


def test_the_space_starts_at_the_given_recipe() -> None:
    space = RecipeSpace.around(Recipe(batch_size=8, max_length=64, dropout=0.1), 50)
    assert (space.base.batch_size, space.base.max_length, space.base.dropout) == (8, 64, 0.1)
    assert (space.base.optimiser, space.base.steps) == ("adamw", 50)
    wild = space.clip(np.array([[99.0, -99.0]]))
    assert space.recipe(wild[0]).learning_rate == pytest.approx(1e-2)
