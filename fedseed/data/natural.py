"""The natural partition: one client for each value of a column, such as a user or a site."""

import numpy as np

from fedseed.data.options import NATURAL, ShardOptions
from fedseed.data.partition import Partition
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import DataError


def groups_to_train(dataset: Dataset, rows: Rows) -> Rows:
    """Numbers of the groups of which at least one of some rows is.

    Raises:
        DataError: the data say of no example whose it is.
    """
    if dataset.groups is None:
        raise DataError("--partition natural: the data say of no example whose it is: give --by")
    groups = np.unique(dataset.groups[rows])
    return groups[groups >= 0]


def natural_clients(config: ShardOptions, dataset: Dataset, asked: bool) -> int:
    """Number of clients: under the natural partition that of the groups, unless one was given.

    Args:
        config: the options.
        dataset: says whose each example is.
        asked: whether the number of clients was given.

    Raises:
        DataError: there are fewer groups than clients and newcomers.
    """
    if config.partition != NATURAL:
        return config.clients
    groups = len(groups_to_train(dataset, dataset.train))
    clients = config.clients if asked else groups - config.newcomers
    if clients < 1 or clients + config.newcomers > groups:
        raise DataError(
            f"--by makes {groups} clients with examples to train on, fewer than --clients and "
            f"--newcomers {config.newcomers} ask for: lower them"
        )
    return clients


def natural_partition(
    dataset: Dataset, rows: Rows, clients: int, rng: np.random.Generator
) -> Partition:
    """The rows of some groups, one group a client.

    Args:
        dataset: says whose each example is.
        rows: the rows to split.
        clients: clients and newcomers; which groups they are is drawn.
        rng: the generator of this choice.

    Raises:
        DataError: there are fewer groups.
    """
    groups = groups_to_train(dataset, rows)
    if clients > len(groups):
        raise DataError(
            f"--by makes {len(groups)} clients with examples to train on, not {clients}: give "
            "fewer --clients"
        )
    assert dataset.groups is not None
    whose = dataset.groups[rows]
    order = np.argsort(whose, kind="stable")
    drawn = rng.permutation(groups)[:clients]
    starts = np.searchsorted(whose[order], drawn, side="left")
    ends = np.searchsorted(whose[order], drawn, side="right")
    return Partition(tuple(rows[order[start:end]] for start, end in zip(starts, ends, strict=True)))
