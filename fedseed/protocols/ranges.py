"""How far training may move numbers that are summed, from what everybody knows."""

from collections.abc import Mapping

from fedseed.coding.vectors import Parts
from fedseed.recipe import Recipe
from fedseed.training.generic import WORD_EMBEDDINGS

_SGD_RANGE = 1.0


def ranges_of(parts: Parts, recipe: Recipe) -> Mapping[str, float]:
    """The largest change of each part's numbers that a sum takes, from what everybody knows.

    Adam moves a number by about its learning rate a step at most, so by the sum of the rates; word
    embeddings by so many times as much as the recipe says. SGD has no such bound: there it is 1.
    """
    rates = sum(recipe.rate(step) for step in range(recipe.steps))
    usual = max(rates, recipe.learning_rate) if recipe.optimiser != "sgd" else _SGD_RANGE
    return {
        name: usual * (recipe.embedding_multiplier if _is_of_words(name) else 1.0)
        for name in parts.shapes
    }


def _is_of_words(name: str) -> bool:
    return name.partition("/")[0].endswith(WORD_EMBEDDINGS)
