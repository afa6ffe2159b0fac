"""The data of a run's clients, whatever its options say: a partition, or tables of their own."""

import functools
from dataclasses import replace

import numpy as np

from fedseed.data.federated_dataset import (
    FederatedDataset,
    open_federated_dataset,
    partition_dataset,
)
from fedseed.data.site_options import SITES, SiteOptions
from fedseed.data.sites.federated import dataset_of_sites, sites_of
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import ConfigError
from fedseed.randomness import generator


def partitioned(config: SiteOptions, dataset: Dataset) -> FederatedDataset:
    """Partition an open data set among clients, and set aside what each is tested on.

    Raises:
        DataError: more clients than the data can serve, or public texts that cannot be used.
    """
    return _held_out(config, partition_dataset(config, dataset))


@functools.lru_cache(maxsize=2)
def open_clients(config: SiteOptions) -> FederatedDataset:
    """Open the data of all clients, once for each process.

    Raises:
        ConfigError: each node has a table of its own, which only its configuration names.
        DataError: the data cannot be read, split or partitioned.
    """
    if config.data == SITES:
        raise ConfigError("--data sites is for deployments: give --data sites:FOLDER")
    if config.of_sites:
        return dataset_of_sites(config, sites_of(config))
    return _held_out(config, open_federated_dataset(config))


def _held_out(config: SiteOptions, federated: FederatedDataset) -> FederatedDataset:
    """The same clients, where each tests on a share of its own examples; one keeps its only one."""
    if not config.tested_by_clients:
        return federated
    parts: list[Rows] = []
    tests: list[Rows] = []
    for partition_id, rows in enumerate(federated.parts):
        mixed = generator(config.run_seed, "held-out", 0, partition_id).permutation(rows)
        size = min(round(config.held_out * len(rows)), len(rows) - 1)
        parts.append(np.sort(mixed[size:]))
        tests.append(np.sort(mixed[:size]))
    return replace(federated, parts=tuple(parts), tests=tuple(tests))
