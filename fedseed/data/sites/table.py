"""A site's table, opened: tokenised, with texts held out for tests, and the run's classes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fedseed.data.label_words import folded
from fedseed.data.sites.site import Site
from fedseed.data.sources import open_source
from fedseed.data.splits import Rows, SplitRules
from fedseed.data.tokenise import Progress
from fedseed.data.tokens import Dataset, load_dataset
from fedseed.errors import DataError

_LEFT_OUT = -1
_NAMED = 5
"""Labels that a message names, at most."""


def open_site(
    site: Site, tokenizer: Path, max_length: int, progress: Progress | None = None
) -> Dataset:
    """Open a site's table, under its own names of classes.

    Args:
        site: which table.
        tokenizer: a ``tokenizer.json`` file.
        max_length: tokens kept of each text.
        progress: called with texts done and texts in all while tokenising.

    Raises:
        DataError: the table cannot be read, or nothing is left to train on. A server may be told
            why: the message names the table without its path.
    """
    try:
        source = open_source(site.data, site.wanted)
    except DataError as error:
        raise DataError(str(error).replace(site.data, Path(site.data).name)) from error
    rules = SplitRules(test_share=site.held_out, of_one_site=True)
    return load_dataset(source, tokenizer, max_length, progress, rules)


def own_names(site: Site, classes: Sequence[str]) -> list[str]:
    """What a site's classes are called in a run: as its file says, else as they are."""
    return [site.labels.get(name, name) for name in classes]


def under_classes(site: Site, dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Number a site's texts as a run numbers its classes.

    Args:
        site: says what its labels are called in the run, and what becomes of others.
        dataset: its table.
        classes: names of the run's classes, by number.

    Returns:
        The dataset, whose ``train`` and ``test`` hold texts of the run's classes alone.

    Raises:
        DataError: a label is none of the run's classes and is not to be left out, or nothing is
            left to train on. Labels are named where the site tells them.
    """
    numbers = _numbers(site, dataset, classes)
    other = [name for name, number in zip(dataset.classes, numbers, strict=True) if number < 0]
    if other and site.other_labels == "refuse":
        raise DataError(
            f"{_which(site, other)} none of the run's classes ({', '.join(classes)}): say in "
            "labels what they are called there, or other-labels = 'leave-out'"
        )
    labels = np.array(numbers, dtype=np.int64)[dataset.table.labels]
    train, test = (rows[labels[rows] >= 0] for rows in (dataset.train, dataset.test))
    if not len(train):
        raise DataError("no text of the run's classes is left to train on: check labels")
    table = replace(dataset.table, labels=np.maximum(labels, 0))
    return replace(dataset, classes=tuple(classes), table=table, train=train, test=test)


def _numbers(site: Site, dataset: Dataset, classes: Sequence[str]) -> list[int]:
    """The run's number of each of a site's classes, :data:`_LEFT_OUT` for none.

    Raises:
        DataError: a label is said to be what is no class of the run.
    """
    exact = {name: number for number, name in enumerate(classes)}
    alike = {folded(name): number for name, number in exact.items()}
    unknown = sorted(set(site.labels.values()) - exact.keys())
    if unknown and site.other_labels == "refuse":
        raise DataError(
            f"labels name what is no class of the run ({', '.join(classes)}): correct them"
        )
    called = own_names(site, dataset.classes)
    return [exact.get(name, alike.get(folded(name), _LEFT_OUT)) for name in called]


def _which(site: Site, labels: Sequence[str]) -> str:
    """Some labels, by name where the site tells them, else by their number."""
    be = "is" if len(labels) == 1 else "are"
    if not site.tell_labels:
        return f"{len(labels)} of its labels {be}"
    named = ", ".join(name[:40] for name in labels[:_NAMED])
    return f"its label(s) {named}{', ...' if len(labels) > _NAMED else ''} {be}"


def smallest_allowed(rows: Rows, smallest: int | None) -> None:
    """Refuse a site of fewer texts than the run's privacy is accounted for.

    Raises:
        DataError: it has fewer.
    """
    if smallest is not None and len(rows) < smallest:
        raise DataError(
            f"it has fewer texts to train on than --smallest-site {smallest:,} says that every "
            "site has"
        )
