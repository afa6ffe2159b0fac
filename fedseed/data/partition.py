"""Partitions of the train rows among clients.

Index partitioners to the definitions of the literature and of flwr-datasets; why not
flwr-datasets itself is in docs/decisions/partitioners.md. Every partitioner gives each
client at least ``minimum`` examples: clients that fall short take examples from the
largest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedseed.data.options import PARTITIONS
from fedseed.data.splits import Rows
from fedseed.errors import DataError


@dataclass(frozen=True)
class Partition:
    """Rows of each client."""

    parts: tuple[Rows, ...]
    """One sorted array of rows for each client; together they are the rows that were split."""
    topped_up: int = 0
    """Clients that the draw left without an example."""


def partition(
    labels: Rows,
    rows: Rows,
    clients: int,
    scheme: str,
    rng: np.random.Generator,
    *,
    alpha: float = 0.5,
    shards_per_client: int = 2,
    minimum: int = 2,
) -> Partition:
    """Split the rows among clients.

    Args:
        labels: class number of every text of the data set.
        rows: the rows to split.
        clients: number of parts.
        scheme: ``iid``: equal shares at random; ``dirichlet``: each class is split in
            proportions drawn from Dirichlet(alpha) (Hsu et al. 2019); ``shards``: rows
            sorted by label, cut into equal pieces, ``shards_per_client`` pieces each
            (McMahan et al. 2017); ``quantity``: IID labels, sizes drawn from
            Dirichlet(alpha) (Li et al. 2022).
        rng: the generator of this choice.
        alpha: concentration; small is uneven.
        shards_per_client: pieces for each client under ``shards``.
        minimum: least number of rows of a client.

    Raises:
        DataError: more clients than the rows can serve, or an unknown scheme.
    """
    if clients * minimum > len(rows):
        raise DataError(
            f"{clients} clients need at least {minimum} examples each, the train split has "
            f"{len(rows)}: give fewer --clients or more data"
        )
    drawn = _drawn(labels, rows, clients, scheme, rng, alpha, shards_per_client)
    parts = tuple(np.sort(part) for part in _top_up(drawn, minimum))
    return Partition(parts, sum(len(part) < 1 for part in drawn))


def _drawn(
    labels: Rows, rows: Rows, clients: int, scheme: str, rng: np.random.Generator, alpha: float,
    shards_per_client: int,
) -> list[Rows]:  # fmt: skip
    """The parts as they are drawn; some may be empty."""
    if scheme == "iid":
        parts = np.array_split(rng.permutation(rows), clients)
    elif scheme == "quantity":
        shares = rng.dirichlet(np.full(clients, alpha))
        parts = np.split(rng.permutation(rows), _cuts(shares, len(rows)))
    elif scheme == "dirichlet":
        parts = _dirichlet(labels, rows, clients, alpha, rng)
    elif scheme == "shards":
        parts = _label_shards(labels, rows, clients, shards_per_client, rng)
    else:
        raise DataError(f"unknown partition '{scheme}': choose from {', '.join(PARTITIONS)}")
    return list(parts)


def _cuts(shares: np.ndarray, total: int) -> Rows:
    return np.round(np.cumsum(shares)[:-1] * total).astype(np.int64)


def _dirichlet(
    labels: Rows, rows: Rows, clients: int, alpha: float, rng: np.random.Generator
) -> list[Rows]:
    pieces: list[list[Rows]] = []
    for number in np.unique(labels[rows]):
        of_class = rng.permutation(rows[labels[rows] == number])
        cuts = _cuts(rng.dirichlet(np.full(clients, alpha)), len(of_class))
        pieces.append(np.split(of_class, cuts))
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def _label_shards(
    labels: Rows, rows: Rows, clients: int, each: int, rng: np.random.Generator
) -> list[Rows]:
    mixed = rng.permutation(rows)
    ordered = mixed[np.argsort(labels[mixed], kind="stable")]
    pieces = np.array_split(ordered, clients * each)
    drawn = rng.permutation(clients * each).reshape(clients, each)
    return [np.concatenate([pieces[number] for number in numbers]) for numbers in drawn]


def _top_up(parts: list[Rows], minimum: int) -> list[Rows]:
    parts = list(parts)
    sizes = np.array([len(part) for part in parts])
    for poor in np.flatnonzero(sizes < minimum):
        while sizes[poor] < minimum:
            rich = int(np.argmax(sizes))
            take = min(minimum - int(sizes[poor]), int(sizes[rich]) - minimum)
            parts[poor] = np.concatenate([parts[poor], parts[rich][-take:]])
            parts[rich] = parts[rich][:-take]
            sizes[poor] += take
            sizes[rich] -= take
    return parts


def label_counts(labels: Rows, parts: Sequence[Rows], classes: int) -> list[list[int]]:
    """Examples of each class by client, a list of ``classes`` counts for each."""
    return [np.bincount(labels[part], minlength=classes).tolist() for part in parts]
