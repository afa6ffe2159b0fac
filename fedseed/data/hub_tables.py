"""Data sets in the hub's format, from the hub or a folder, and those of save_to_disk.

Tables are streamed: nothing of them is left in another library's cache.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedseed.data.cache import cache_folder
from fedseed.data.digests import file_digest
from fedseed.data.reading import Parts
from fedseed.data.tables.arrow_table import table_of
from fedseed.data.tables.cells import Table, Wanted
from fedseed.data.tables.class_folders import folders_in
from fedseed.data.tables.table_folders import open_tables
from fedseed.errors import DataError, first_line, one_line
from fedseed.hub import datasets_library, prepare_hub

_OURS = frozenset({"csv", "json", "text"})
"""Builders whose files are read by our own strict readers."""
_COLUMNAR = frozenset({"parquet", "arrow"})


def has_card(folder: Path) -> bool:
    """Whether the card of a folder's README.md says where its tables are, or their columns."""
    return re.search(r"^(configs|dataset_info):", _card(folder), re.MULTILINE) is not None


def _card(folder: Path) -> str:
    """What stands between lines of dashes at the top of a folder's README.md; nothing without."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else ""
    return text.split("---")[1] if text.startswith("---") and text.count("---") > 1 else ""


def is_saved_to_disk(folder: Path) -> bool:
    """Whether a folder was written by the datasets library's ``save_to_disk``."""
    return (folder / "dataset_dict.json").is_file() or "train" in _saved_in(folder)


def _saved_in(folder: Path) -> dict[str, Path]:
    """Folders of saved tables by split: the folder itself, or those in it."""
    return {
        "train" if path == folder else path.name: path
        for path in (folder, *folders_in(folder))
        if all((path / name).is_file() for name in ("dataset_info.json", "state.json"))
    }


def open_saved(folder: Path, wanted: Wanted) -> Parts:
    """Open a folder of ``save_to_disk``.

    Raises:
        DataError: it is damaged or has no such columns.
    """
    splits = _saved_in(folder)
    if not splits:
        raise DataError(f"{folder.name} holds no saved tables (state.json): save it to disk again")
    listed = _json(folder / "dataset_dict.json").get("splits", [])
    if absent := [str(split) for split in listed if split not in splits]:
        raise DataError(f"{folder.name}: its split {one_line(absent[0])} is missing: copy it there "
                        "again")  # fmt: skip
    for path in splits.values():
        _refuse_missing_files(path)
    try:
        saved = {name: datasets_library().load_from_disk(path) for name, path in splits.items()}
    except Exception as error:  # the library and pyarrow raise many kinds
        raise DataError(
            f"{folder.name} cannot be read ({first_line(error, 80)}): save it to disk again"
        ) from error
    return {name: [table_of(part, folder.name, wanted)] for name, part in saved.items()}


def _json(path: Path) -> dict[str, Any]:
    """What a file of ``save_to_disk`` says; nothing if it is not there.

    Raises:
        DataError: it is damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path.parent.name}: {path.name} cannot be read: save it to disk again"
                        ) from error  # fmt: skip
    return value if isinstance(value, dict) else {}


def _refuse_missing_files(folder: Path) -> None:
    """Raise a DataError where a saved table has no files, or one of them is not there."""
    parts = _json(folder / "state.json").get("_data_files")
    names = [str(part.get("filename")) for part in parts or () if isinstance(part, dict)]
    if not names:
        raise DataError(f"{folder.name} holds no rows: save a table with labelled texts")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder.name}: its file {one_line(missing[0])} is missing: copy it there "
                        "again")  # fmt: skip


def find_builder(name: str, config: str | None) -> Any:
    """The datasets library's builder for a name on the hub or a folder of tables.

    Raises:
        DataError: there is none, or one of several configurations must be chosen.
    """
    prepare_hub()
    try:
        return datasets_library().load_dataset_builder(
            name, config, cache_dir=str(cache_folder() / "hub")
        )
    except Exception as error:  # the library raises some twenty kinds
        configs = _configurations(name)
        short = Path(name).name
        if configs and (len(configs) > 1 if config is None else config not in configs):
            raise DataError(
                f"{short} has several configurations ({', '.join(configs)[:200]}): give "
                f"--data hub:{name}:{configs[0]}"
            ) from error
        if Path(name).is_dir() and _card_is_broken(Path(name)):
            raise DataError(
                f"{short}: the card at the top of its README.md cannot be read "
                f"({type(error).__name__}): mend it there, or move README.md elsewhere"
            ) from error
        if Path(name).is_dir():
            raise DataError(
                f"{short} is no folder of tables that can be read "
                f"({first_line(error, 100)}): give a table, or a folder for each class "
                "with a text in each file ending in .txt"
            ) from error
        raise DataError(
            f"cannot load '{name}' from the hub ({first_line(error)}): check the name and the "
            "connection, or use --data bundled"
        ) from error


def _configurations(name: str) -> Sequence[str]:
    try:
        names: list[str] = datasets_library().get_dataset_config_names(name)
        return names
    except Exception:  # then the first error is what there is to say
        return ()


def _card_is_broken(folder: Path) -> bool:
    """Whether the library cannot read what a folder's README.md says of its data."""
    if not _card(folder):
        return False
    datasets = datasets_library()
    try:
        data = datasets.load.DatasetCard.load(folder / "README.md").data
        datasets.info.DatasetInfosDict.from_dataset_card_data(data)
    except Exception:  # yaml's and the library's own kinds are many
        return True
    return False


def open_built(builder: Any, name: str, wanted: Wanted) -> Parts:
    """Open the splits of a data set.

    Raises:
        DataError: it holds no tables, or has no such columns.
    """
    kind = type(builder).__module__.rpartition(".")[2]
    files = {str(split): list(paths) for split, paths in (builder.config.data_files or {}).items()}
    local = all("://" not in path for paths in files.values() for path in paths)
    if files and (kind in _OURS or (kind in _COLUMNAR and local)):
        try:
            parts = open_tables(files, wanted)
        except DataError as error:
            if kind != "text":
                raise
            raise DataError(f"{error}; or put each text into a file of its own, in a folder for "
                            "each class") from error  # fmt: skip
        for table in (table for tables in parts.values() for table in tables):
            table.classes = _names(builder.info.features or {}, table) or table.classes
        return parts
    if kind not in _COLUMNAR:
        raise DataError(f"{Path(name).name} holds no tables of text ({kind}): give a table of "
                        "texts and labels")  # fmt: skip
    try:
        streams = builder.as_streaming_dataset()
        opened = {str(s): d if d.features else d._resolve_features() for s, d in streams.items()}
    except Exception as error:  # the library and pyarrow raise many kinds
        raise DataError(
            f"{Path(name).name} cannot be read ({first_line(error, 80)}): check its files"
        ) from error
    return {split: [table_of(part, Path(name).name, wanted)] for split, part in opened.items()}


def _names(features: Any, table: Table) -> tuple[str, ...] | None:
    """Class names that the data set's card gives the column of labels."""
    read = [note.partition(", whose they are in ")[0] for note in table.notes]
    for column, kind in features.items():
        if hasattr(kind, "names") and any(note.endswith(f", labels in {column}") for note in read):
            return tuple(kind.names)
    return None


def built_key(builder: Any) -> str:
    """Changes whenever the data set does: its version on the hub, or its files' content."""
    whole = hashlib.sha256(f"{builder.hash}/{builder.config.name}".encode())
    for split, paths in sorted((builder.config.data_files or {}).items(), key=str):
        for path in paths:
            whole.update(f"{split}/{path if '://' in path else file_digest(Path(path))}".encode())
    return whole.hexdigest()
