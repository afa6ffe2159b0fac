"""Folders of one text a file, a folder for each class: aclImdb, 20 newsgroups, and the like."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedseed.data.label_words import folded
from fedseed.data.tables.cells import Cells, Table, Wanted
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import find_encoding, open_text
from fedseed.data.tables.json_table import refuse_separators
from fedseed.errors import DataError

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test",
    "evaluation": "test", "valid": "validation", "val": "validation", "validation": "validation",
    "dev": "validation",
}  # fmt: skip
"""Splits by the words in the names that folders and files have."""
_UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
_IMDB = {"neg": "negative", "pos": "positive"}
_ABOUT = frozenset({"readme", "license", "licence"})
"""Names of files that are about the texts, without their endings."""


@dataclass(frozen=True)
class ClassFolder:
    """The texts of one class in one split."""

    split: str
    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Layout:
    """Folders of texts below a folder."""

    folders: tuple[ClassFolder, ...] = ()
    """By split and class."""
    by_split: bool = False
    """Whether they stand in folders for training and testing."""
    notes: tuple[str, ...] = ()
    """What was left out, for the plan."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of the folders' names; neg and pos are spelled out."""
        return tuple(_IMDB.get(name, name) for name in sorted({part.name for part in self.folders}))


def split_of(name: str) -> str | None:
    """The split that a word in a file's or folder's name says; None for none or several."""
    splits = {SPLITS[word] for word in re.split("[^a-z]+", name.lower()) if word in SPLITS}
    return splits.pop() if len(splits) == 1 else None


def find_class_folders(folder: Path) -> Layout:
    """Folders of texts below a folder, by split and class; none if it is laid out otherwise."""
    here = folders_in(folder)
    splits = {path: split for path in here if (split := _split_of_folder(path))}
    below = [(split, part) for path, split in splits.items() for part in folders_in(path)]
    if len(splits) == len(here) or any(
        split == "train" and texts_in(part) for split, part in below
    ):
        others = (path for path in here if path not in splits and texts_in(path))
        return _layout(below, True, [*_flat_files(splits), *not_read("folder(s)", others)])
    return _layout([("train", path) for path in here], False, [])


def _split_of_folder(path: Path) -> str | None:
    """The split that a folder is called by, or has in its name if folders of texts are in it."""
    split = split_of(path.name)
    called = path.name.lower() in SPLITS
    return split if split and (called or any(map(texts_in, folders_in(path)))) else None


def _layout(parts: Sequence[tuple[str, Path]], by_split: bool, notes: list[str]) -> Layout:
    labelled = [part for part in parts if part[1].name.lower() not in _UNLABELLED]
    found = [
        ClassFolder(split, path.name, files)
        for split, path in labelled
        if (files := texts_in(path))
    ]
    passed: Counter[str] = Counter()
    for _, path in labelled:
        passed.update(_passed_over(path) if texts_in(path) else {})
    for split, path in parts:
        if path.name.lower() in _UNLABELLED:
            notes.append(f"not read: the folder {path.name} of the {split} split, without labels")
    bare = [path for _, path in labelled if not texts_in(path) and any(path.iterdir())]
    notes += not_read("folder(s) without texts right in them", bare)
    if passed:
        listed = ", ".join(f"{count:,} {what}" for what, count in passed.most_common(6))
        notes.append(f"not read in the folders of the classes: {listed}"[:200])
    found.sort(key=lambda part: (part.split, part.name))
    return Layout(tuple(found), by_split, tuple(notes))


def not_read(what: str, paths: Iterable[Path]) -> list[str]:
    """A note of what was left out, if anything was."""
    listed = ", ".join(path.name for path in paths)
    return [f"not read: the {what} {listed}"[:200]] if listed else []


def _flat_files(splits: Iterable[Path]) -> list[str]:
    """Notes of texts in the folders of splits that lie in no folder of a class."""
    counts = {path.name: len(texts_in(path)) for path in splits}
    return [
        f"not read: {count:,} file(s) of the folder {name}, which lie in no folder of a class"
        for name, count in counts.items()
        if count
    ]


def folders_in(folder: Path) -> list[Path]:
    """Folders right below one, but hidden ones, by name."""
    return [
        Path(entry.path)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
        if entry.is_dir() and not entry.name.startswith(".")
    ]


def files_in(folder: Path) -> list[Path]:
    """Files right in a folder, but hidden ones, by name."""
    return [
        Path(entry.path)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
        if entry.is_file() and not entry.name.startswith(".")
    ]


def is_about(path: Path) -> bool:
    """Whether a file is about the texts: a README or a licence."""
    return path.name.lower().partition(".")[0] in _ABOUT


def _is_text(path: Path) -> bool:
    """Whether a file ends in .txt, in a number, or in nothing, and is a text by its name."""
    suffix = path.suffix.lower()
    return (suffix in ("", ".txt") or suffix[1:].isdigit()) and not is_about(path)


def texts_in(folder: Path) -> tuple[Path, ...]:
    """Texts right in a folder, told by their endings."""
    return tuple(path for path in files_in(folder) if _is_text(path))


def _passed_over(folder: Path) -> Counter[str]:
    """How many files of a class are no texts or lie deeper, by kind."""
    passed = Counter(
        "README or licence" if is_about(path) else f"ending in {path.suffix.lower()[:20]}"
        for path in files_in(folder)
        if not _is_text(path)
    )
    deeper = sum(len(files) for path in folders_in(folder) for _, _, files in os.walk(path))
    return passed + Counter({"in folders below them": deeper})


def read_class_folders(layout: Layout, where: str, wanted: Wanted) -> dict[str, list[Table]]:
    """The texts as a table for each split.

    Args:
        layout: the folders, see :func:`find_class_folders`.
        where: the whole folder's name.
        wanted: an encoding, if one was given; columns there are none.

    Raises:
        DataError: columns were asked for, or two classes differ only in how they are written.
    """
    refuse_separators(wanted, where)
    if len({folded(part.name) for part in layout.folders}) < len(layout.names):
        raise DataError(f"{where}: two folders of classes differ only in how their names are "
                        "written: make them one")  # fmt: skip
    if wanted.text or wanted.label or wanted.group:
        raise DataError(f"{where} has a folder for each class, no columns: leave out "
                        "--text-column, --label-column and --by")  # fmt: skip

    def table(split: str) -> Table:
        parts = [part for part in layout.folders if part.split == split]

        def rows() -> Iterator[Cells]:
            for part in parts:
                for path in part.files:
                    yield Cells((_read(path, wanted),), _IMDB.get(part.name, part.name))

        return Table(where, rows, layout.names, ["a folder for each class", *layout.notes])

    return {split: [table(split)] for split in sorted({part.split for part in layout.folders})}


def _read(path: Path, wanted: Wanted) -> str:
    file = TableFile(str(path))
    notes: list[str] = []
    encoding = find_encoding(file, wanted.encoding, notes)
    if notes:
        raise DataError(f"{path.name} is not UTF-8 text: give --encoding NAME, such as cp1252")
    with open_text(file, encoding) as text:
        return text.read()
