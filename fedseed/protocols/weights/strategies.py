"""Strategies by which a server aggregates weights, as they describe themselves.

Light to import; what they are made of is Flower's, see :mod:`fedseed.federation.strategies`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Strategy:
    """A way to aggregate, and the fewest clients with which it does what it is for."""

    fewest: int = 1
    """Replies in one round from which on it does what it is for."""
    with_fewer: str = ""
    """What becomes of it with fewer."""

    def warning(self, name: str, clients: int) -> str | None:
        """A line for a run with too few clients in one round; None with enough."""
        if clients >= self.fewest:
            return None
        return (
            f"--strategy {name} needs {self.fewest} clients in a round, this run has {clients}: "
            f"{self.with_fewer}; raise --clients or --cohort"
        )


_NO_MAJORITY = "with fewer a single liar can be what it chooses"
"""Krum's condition: n >= 2 f + 3 for f liars, of which Flower's is told one."""
STRATEGIES: Mapping[str, Strategy] = {
    "fedavg": Strategy(),
    "fedadam": Strategy(),
    "fedmedian": Strategy(3, "the median of one or two is their mean, which a liar moves"),
    "fedtrimmedavg": Strategy(5, "a fifth at each end is no client, so that it trims nothing"),
    "krum": Strategy(5, _NO_MAJORITY),
    "multikrum": Strategy(5, _NO_MAJORITY),
}
"""By the name that ``--strategy`` takes."""
