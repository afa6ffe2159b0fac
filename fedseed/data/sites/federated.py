"""The data of sites as one :class:`FederatedDataset`: of all of them, of one, or of none."""

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.labels import MAX_CLASSES
from fedseed.data.public_texts import PublicTexts, open_public, refuse_overlap
from fedseed.data.site_options import SiteOptions
from fedseed.data.sites.site import Site, read_site_file, site_files
from fedseed.data.sites.table import open_site, own_names, smallest_allowed, under_classes
from fedseed.data.splits import Rows
from fedseed.data.tokenise import Progress
from fedseed.data.tokens import Dataset, TokenTable
from fedseed.errors import ConfigError, DataError
from fedseed.models.published import tokenizer_file

_SOURCE = "sites, each with its own texts"
_NONE = np.zeros(0, dtype=np.int64)


def sites_of(config: SiteOptions) -> list[Site]:
    """The sites of a simulation, in order of their files' names.

    Raises:
        ConfigError: there are none, or a file cannot be used.
    """
    files = site_files(config.data.partition(":")[2])
    return [Site.of(read_site_file(path), f"the site's file {path}") for path in files]


def told_classes(config: SiteOptions, sites: Sequence[Site]) -> str:
    """The classes of a run as its sites tell them, joined by commas.

    Raises:
        ConfigError: none tells them, or they make one class only.
    """
    tokenizer = tokenizer_file(config.model)
    told: set[str] = set()
    for site in sites:
        if site.tell_labels:
            told |= set(own_names(site, open_site(site, tokenizer, config.length).classes))
    return joined_classes(told)


def joined_classes(told: set[str]) -> str:
    """Names of classes in their order, joined by commas.

    Raises:
        ConfigError: there are fewer than two, or one has a comma.
    """
    if not 2 <= len(told) <= MAX_CLASSES or any("," in name for name in told):
        raise ConfigError(
            f"the sites tell {len(told)} class(es) that a run can have: name them with --classes"
        )
    return ",".join(sorted(told))


def empty_dataset(config: SiteOptions) -> FederatedDataset:
    """What a server knows of the data of sites: the classes, and no text.

    Raises:
        DataError: the public texts cannot be used.
    """
    table = TokenTable(np.zeros(0, dtype=np.uint16), np.zeros(1, dtype=np.int64), _NONE)
    dataset = Dataset(_SOURCE, "", tuple(config.class_names), table, _NONE, _NONE, 0)
    many = config.clients + config.newcomers
    nothing = (_NONE,) * many
    return FederatedDataset(config, dataset, nothing, _public(config, dataset), tests=nothing)


def dataset_of_site(config: SiteOptions, site: Site, partition_id: int) -> FederatedDataset:
    """What one node has: its own texts, and nobody else's.

    Args:
        config: the run's options, with its classes.
        site: which table is its own.
        partition_id: the node's number.

    Raises:
        DataError: its table cannot be read, its labels are not the run's, or it has fewer texts
            than the run's privacy is accounted for.
    """
    dataset = _opened(config, site)
    many = config.clients + config.newcomers
    parts, tests = ([_NONE] * many for _ in range(2))
    if not 0 <= partition_id < many:
        raise ConfigError(f"there is no partition {partition_id}: the run has {many} sites")
    parts[partition_id], tests[partition_id] = dataset.train, dataset.test
    public = _public(config, dataset)
    return FederatedDataset(config, dataset, tuple(parts), public, tests=tuple(tests))


def dataset_of_sites(
    config: SiteOptions, sites: Sequence[Site], progress: Progress | None = None
) -> FederatedDataset:
    """What a simulation has: all sites, one after the other.

    Raises:
        ConfigError: there are fewer sites than clients and newcomers.
        DataError: see :func:`dataset_of_site`; the message names the site.
    """
    many = config.clients + config.newcomers
    if many > len(sites):
        raise ConfigError(
            f"--clients and --newcomers make {many} sites, the folder has {len(sites)}: lower them"
        )
    datasets = []
    for site in sites[:many]:
        try:
            datasets.append(_opened(config, site, progress))
        except DataError as error:
            raise DataError(f"site {site.name}: {error}") from error
    starts = np.cumsum([0, *(len(one.table.labels) for one in datasets)])
    pairs = list(zip(starts[:-1].tolist(), datasets, strict=True))
    whole = _joined(datasets, tuple(config.class_names))
    return FederatedDataset(
        config, whole, tuple(start + one.train for start, one in pairs),
        _public(config, whole), tests=tuple(start + one.test for start, one in pairs),
    )  # fmt: skip


def server_site(config: SiteOptions) -> Site | None:
    """What the file of the server's own table says; None where it has none.

    Raises:
        ConfigError: the file cannot be used.
    """
    if config.server_test is None:
        return None
    path = Path(os.path.expanduser(config.server_test))
    try:
        site = Site.of(read_site_file(path), f"the file {path}")
    except ConfigError as error:
        raise ConfigError(f"--server-test: {error}") from error
    return site.model_copy(update={"held_out": 0.0, "tell_labels": True})  # tested, by itself


def open_server_test(
    config: SiteOptions, public: PublicTexts | None, progress: Progress | None = None
) -> Dataset | None:
    """The server's own table, of which all texts are in ``test``; None where it has none.

    Args:
        config: the run's options, with its classes.
        public: texts that models learn from; none of them may be in the table.
        progress: see :func:`open_site`.

    Raises:
        ConfigError: its file cannot be used.
        DataError: the table cannot be read, its labels are not the run's or one alone, or it has
            public texts.
    """
    site = server_site(config)
    if site is None:
        return None
    try:
        own = open_site(site, tokenizer_file(config.model), config.length, progress)
        dataset = under_classes(site, own, config.class_names)
        every = np.sort(np.concatenate([dataset.train, dataset.test]))
        if len(np.unique(dataset.table.labels[every])) < 2:
            raise DataError("its texts are all of one class, on which accuracy means nothing")
    except DataError as error:
        raise DataError(f"--server-test: {error}") from error
    tested = replace(dataset, source=site.name, notes=own.notes, train=_NONE, test=every)
    if public is not None:
        refuse_overlap(str(config.public_texts), public, tested)
    return tested


def _opened(config: SiteOptions, site: Site, progress: Progress | None = None) -> Dataset:
    own = open_site(site, tokenizer_file(config.model), config.length, progress)
    dataset = under_classes(site, own, config.class_names)
    smallest_allowed(dataset.train, config.smallest_site)
    return dataset


def _joined(datasets: Sequence[Dataset], classes: tuple[str, ...]) -> Dataset:
    """The texts of all sites, end to end."""
    tables = [one.table for one in datasets]
    starts = np.cumsum([0, *(len(table.tokens) for table in tables)])
    offsets = [table.offsets[:-1] + start for table, start in zip(tables, starts[:-1], strict=True)]
    table = TokenTable(
        np.concatenate([table.tokens for table in tables]),
        np.concatenate([*offsets, starts[-1:]]),
        np.concatenate([table.labels for table in tables]),
    )
    digest = hashlib.sha256("".join(one.sha256 for one in datasets).encode())
    rows = [len(table.labels) for table in tables]
    firsts = np.cumsum([0, *rows])[:-1].tolist()

    def moved(name: str) -> Rows:
        parts = [getattr(one, name) + first for one, first in zip(datasets, firsts, strict=True)]
        return np.concatenate(parts)

    return replace(
        Dataset(_SOURCE, digest.hexdigest(), classes, table, moved("train"), moved("test"), 0),
        duplicates_dropped=sum(one.duplicates_dropped for one in datasets),
        conflicts=sum(one.conflicts for one in datasets),
        empty_dropped=sum(one.empty_dropped for one in datasets),
    )


def _public(config: SiteOptions, dataset: Dataset) -> PublicTexts | None:
    """Texts that all share; none of them may be a site's to test on.

    Raises:
        DataError: they are to be taken from texts that nobody has together.
    """
    if config.public_texts is None:
        return None
    if config.public_texts.startswith("reviews:"):
        raise DataError("--public reviews:N: sites share no texts: give a file, or sentences")
    return open_public(config.public_texts, dataset, tokenizer_file(config.model), config.length)[0]


@functools.lru_cache(maxsize=2)
def open_node(config: SiteOptions, site_key: str, partition_id: int) -> FederatedDataset:
    """:func:`dataset_of_site`, once for each process; ``site_key`` is :attr:`Site.key`."""
    return dataset_of_site(config, Site.model_validate_json(site_key), partition_id)
