"""Who takes part in a round: clients are drawn for it, and some replies are lost on purpose."""

from collections.abc import Sequence

from fedseed.config import RunConfig
from fedseed.randomness import generator


def draw_cohort(config: RunConfig, round_number: int) -> list[int]:
    """Clients of one round: all, or a draw without repetition of ``--cohort``."""
    if config.cohort is None:
        return list(range(config.clients))
    rng = generator(config.run_seed, "cohort", round_number)
    return sorted(rng.choice(config.clients, config.cohort, replace=False).tolist())


def draw_lost(config: RunConfig, round_number: int, cohort: Sequence[int]) -> frozenset[int]:
    """Clients of a cohort whose reply is lost on purpose, each with ``--drop-rate``."""
    return frozenset(
        pid
        for pid in cohort
        if generator(config.run_seed, "drop", round_number, pid).random() < config.drop_rate
    )
