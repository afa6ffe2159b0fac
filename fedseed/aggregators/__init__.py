"""Recipe aggregators by name."""

from fedseed.aggregators.base import Proposals, RecipeAggregator, Trial
from fedseed.aggregators.exponentiated_gradient import ExponentiatedGradient
from fedseed.aggregators.halving import SuccessiveHalving
from fedseed.aggregators.log_mean import LogMean
from fedseed.aggregators.space import RecipeSpace

AGGREGATORS: dict[str, type[RecipeAggregator]] = {
    kind.name: kind for kind in (LogMean, SuccessiveHalving, ExponentiatedGradient)
}

__all__ = ["AGGREGATORS", "Proposals", "RecipeAggregator", "RecipeSpace", "Trial"]
