"""Names of the recipe aggregators, apart so that a configuration imports nothing heavy."""

AGGREGATOR_NAMES = ("log-mean", "halving", "fedex")
