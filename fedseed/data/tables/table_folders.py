"""Folders with tables at their top: which files are read, and for which split."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fedseed.data.tables.cells import Table, Wanted
from fedseed.data.tables.class_folders import (
    SPLITS,
    files_in,
    folders_in,
    is_about,
    not_read,
    split_of,
    texts_in,
)
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.files import ENDINGS, read_file
from fedseed.data.tables.labelled_lines import has_labels
from fedseed.errors import DataError

_ABOUT_TABLES = frozenset({"dataset_info", "dataset_infos", "dataset_dict", "state", "metadata"})
"""Files of the datasets library that are about other files."""


def tables_in(folder: Path) -> list[Path]:
    """Tables right in a folder, told by their endings; in .txt those of lines with labels."""
    return [
        path
        for path in files_in(folder)
        if _may_be_table(TableFile(str(path)))
        and path.name.partition(".")[0].lower() not in _ABOUT_TABLES
        and not is_about(path)
    ]


def _may_be_table(file: TableFile) -> bool:
    lines = file.ending in (".txt", ".text")
    return file.ending in ENDINGS and (not lines or has_labels(file))


def tables_below(folder: Path) -> list[Path]:
    """Tables in the folders right below one that hold no texts."""
    return [path for part in folders_in(folder) if not texts_in(part) for path in tables_in(part)]


def says_split(path: Path) -> bool:
    """Whether a table, or the folder that it lies in, is called by a split."""
    folder = path.parent.name.lower()
    return split_of(path.name) is not None or folder in SPLITS or folder == "data"


def are_complete(tables: Sequence[Path]) -> bool:
    """Whether tables are there to train on and to test on."""
    splits = {split_of(path.name) for path in tables}
    return "train" in splits and bool(splits & {"test", "validation"})


def is_table(path: Path, wanted: Wanted) -> bool:
    """Whether a file can be read, and has columns for texts and labels."""
    try:
        read_file(str(path), wanted)
    except DataError:
        return False
    return True


def choose_tables(
    folder: Path, tables: Sequence[Path], wanted: Wanted, notes: list[str]
) -> dict[str, list[Path]]:
    """Tables by split, as their names say it; for training where none says a split.

    Args:
        folder: the folder, for messages.
        tables: files right in it.
        wanted: what is asked of a table.
        notes: what is left out is added.

    Raises:
        DataError: a split stands there in several kinds of files.
    """
    named = [path for path in tables if split_of(path.name)]
    read = named or list(tables)
    if not named and len(_kinds(tables)) > 1:
        read = [path for path in tables if is_table(path, wanted)] or list(tables)
    notes += not_read("file(s)", (path for path in tables if path not in read))
    chosen: dict[str, list[Path]] = {}
    for path in read:
        chosen.setdefault(split_of(path.name) or "train", []).append(path)
    for split, paths in chosen.items():
        if len(_kinds(paths)) > 1:
            listed = ", ".join(path.name for path in paths)[:200]
            raise DataError(f"{folder.name} holds the {split} split in several kinds of tables "
                            f"({listed}): leave one of them there")  # fmt: skip
    return chosen


def _kinds(paths: Sequence[Path]) -> set[str]:
    return {TableFile(path.name).ending for path in paths}


def open_tables(
    files: Mapping[str, Sequence[str | Path]], wanted: Wanted
) -> dict[str, list[Table]]:
    """Open the files of each split; a test split without a column of labels has no rows.

    Args:
        files: paths or addresses by split.
        wanted: what is asked of them.

    Raises:
        DataError: one cannot be read, or has no such columns.
    """
    return {split: _open_split(split, paths, wanted) for split, paths in files.items()}


def _open_split(split: str, paths: Sequence[str | Path], wanted: Wanted) -> list[Table]:
    tables: list[Table] = []
    refusal: DataError | None = None
    for path in paths:
        try:
            tables.append(read_file(str(path), wanted))
        except DataError as error:
            if split != "test" or not _lacks_labels(error, wanted):
                raise
            refusal = error
    if refusal and tables:
        raise refusal
    return tables or [Table(split, lambda: iter(()))]


def _lacks_labels(error: DataError, wanted: Wanted) -> bool:
    """Whether a table was refused since it has no column of labels."""
    return any(
        what in str(error) for what in (" has no label column", f" has no column {wanted.label}:")
    )
