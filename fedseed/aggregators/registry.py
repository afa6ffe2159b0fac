"""Recipe aggregators by name."""

from fedseed.aggregators.base import RecipeAggregator
from fedseed.aggregators.exponentiated_gradient import ExponentiatedGradient
from fedseed.aggregators.halving import SuccessiveHalving
from fedseed.aggregators.log_mean import LogMean

AGGREGATORS: dict[str, type[RecipeAggregator]] = {
    kind.name: kind for kind in (LogMean, SuccessiveHalving, ExponentiatedGradient)
}
