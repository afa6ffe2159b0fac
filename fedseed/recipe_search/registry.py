"""Recipe aggregators by name."""

from fedseed.recipe_search.base import RecipeAggregator
from fedseed.recipe_search.exponentiated_gradient import ExponentiatedGradient
from fedseed.recipe_search.halving import SuccessiveHalving
from fedseed.recipe_search.log_mean import LogMean

AGGREGATORS: dict[str, type[RecipeAggregator]] = {
    kind.name: kind for kind in (LogMean, SuccessiveHalving, ExponentiatedGradient)
}
