"""Folders of one text a file, a folder for each class: aclImdb, 20 newsgroups, and the like."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedseed.data.tables.cells import Cells, Table, Wanted
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import find_encoding, open_text
from fedseed.errors import DataError

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "valid": "validation",
    "val": "validation", "validation": "validation", "dev": "validation",
}  # fmt: skip
"""Splits by the names that folders and files have."""
_UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
_IMDB = {"neg": "negative", "pos": "positive"}


@dataclass(frozen=True)
class ClassFolder:
    """The texts of one class in one split."""

    split: str
    name: str
    files: tuple[Path, ...]


def find_class_folders(folder: Path) -> list[ClassFolder]:
    """Folders of texts below a folder, by split and class; none if it is laid out otherwise."""
    here = _folders(folder)
    if here and all(path.name.lower() in SPLITS for path in here):
        parts = [(SPLITS[path.name.lower()], part) for path in here for part in _folders(path)]
    else:
        parts = [("train", path) for path in here]
    found = [
        ClassFolder(split, path.name, files)
        for split, path in parts
        if path.name.lower() not in _UNLABELLED and (files := _texts(path))
    ]
    return sorted(found, key=lambda part: (part.split, part.name))


def _folders(folder: Path) -> list[Path]:
    return [
        Path(entry.path)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
        if entry.is_dir() and not entry.name.startswith(".")
    ]


def _texts(folder: Path) -> tuple[Path, ...]:
    """Files of a folder that are texts: ending .txt, or none at all."""
    return tuple(
        Path(entry.path)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
        if entry.is_file()
        and not entry.name.startswith(".")
        and Path(entry.name).suffix.lower() in ("", ".txt", *_numbers(entry.name))
    )


def _numbers(name: str) -> tuple[str, ...]:
    """The ending of a file that is called by a number with a point."""
    suffix = Path(name).suffix
    return (suffix,) if suffix[1:].isdigit() else ()


def class_names(folders: list[ClassFolder]) -> tuple[str, ...]:
    """Class names in the order of the folders' names; neg and pos are spelled out."""
    names = sorted({part.name for part in folders})
    return tuple(_IMDB.get(name, name) for name in names)


def read_class_folders(
    folders: list[ClassFolder], names: tuple[str, ...], where: str, wanted: Wanted
) -> Table:
    """The texts of one split as a table.

    Args:
        folders: those of one split.
        names: class names, see :func:`class_names`.
        where: the whole folder's name.
        wanted: an encoding, if one was given; columns there are none.

    Raises:
        DataError: columns were asked for.
    """
    if wanted.text or wanted.label or wanted.group:
        raise DataError(f"{where} has a folder for each class, no columns: leave out "
                        "--text-column, --label-column and --by")  # fmt: skip

    def rows() -> Iterator[Cells]:
        for part in folders:
            for path in part.files:
                yield Cells((_read(path, wanted),), _IMDB.get(part.name, part.name))

    return Table(where, rows, names, ["a folder for each class"])


def _read(path: Path, wanted: Wanted) -> str:
    file = TableFile(str(path))
    notes: list[str] = []
    encoding = find_encoding(file, wanted.encoding, notes)
    if notes:
        raise DataError(f"{path.name} is not UTF-8 text: give --encoding NAME, such as cp1252")
    with open_text(file, encoding) as text:
        return text.read()
