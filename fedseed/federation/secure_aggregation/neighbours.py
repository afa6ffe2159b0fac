"""Who shares keys with whom: a ring on which everybody knows those next to it (SecAgg+)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEIGHBOURS = 32
"""Of one client in large cohorts; in smaller ones everybody is everybody's neighbour."""


@dataclass(frozen=True)
class Graph:
    """The neighbours of every client of a cohort."""

    of: Mapping[int, tuple[int, ...]]
    """By client: its neighbours in ascending order, itself among them."""
    threshold: int
    """Neighbours of a client whose shares give its secrets back."""


def ring(cohort: Sequence[int], neighbours: int, threshold: int) -> Graph:
    """Give each client as many neighbours on either side.

    Args:
        cohort: the clients, in an order that the server draws anew in each round.
        neighbours: of one client, itself not counted, rounded up to an even number; all others
            when there are no more.
        threshold: of a client's neighbours, itself counted; at least 2.

    Raises:
        ValueError: a threshold that could not be reached, or one that less than a majority
            reaches: two groups of neighbours could then each give one of a client's two secrets,
            which together are its vector.
    """
    count = len(cohort)
    if 2 * -(-neighbours // 2) >= count - 1:
        everybody = tuple(sorted(cohort))
        of = dict.fromkeys(cohort, everybody)
        size = count
    else:
        half = -(-neighbours // 2)
        near = range(-half, half + 1)
        of = {
            client: tuple(sorted({cohort[(place + step) % count] for step in near}))
            for place, client in enumerate(cohort)
        }
        size = len(of[cohort[0]])
    if not size // 2 + 1 <= threshold <= size or threshold < 2:
        raise ValueError(f"a threshold of {threshold} of {size} clients: it is {size // 2 + 1} up")
    return Graph(of, threshold)
