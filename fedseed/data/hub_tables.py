"""Data sets in the hub's format, from the hub or a folder, and those of save_to_disk.

Tables are streamed: nothing of them is left in another library's cache.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedseed.data.cache import cache_folder
from fedseed.data.digests import file_digest
from fedseed.data.tables.arrow_table import table_of
from fedseed.data.tables.cells import Table, Wanted
from fedseed.data.tables.files import read_file
from fedseed.errors import DataError, first_line
from fedseed.hub import datasets_library, prepare_hub

_OURS = frozenset({"csv", "json", "text"})
"""Builders whose files are read by our own strict readers."""
Parts = dict[str, list[Table]]
"""Tables by the name of their split."""


def is_saved_to_disk(folder: Path) -> bool:
    """Whether a folder was written by the datasets library's ``save_to_disk``."""
    saved = folder / "dataset_info.json", folder / "state.json"
    return (folder / "dataset_dict.json").is_file() or all(path.is_file() for path in saved)


def open_saved(folder: Path, wanted: Wanted) -> Parts:
    """Open a folder of ``save_to_disk``.

    Raises:
        DataError: it is damaged or has no such columns.
    """
    datasets = datasets_library()
    try:
        saved: Any = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library and pyarrow raise many kinds
        raise DataError(
            f"{folder.name} cannot be read ({first_line(error, 80)}): save it to disk again"
        ) from error
    splits = dict(saved) if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    return {name: [table_of(part, folder.name, wanted)] for name, part in splits.items()}


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
        if Path(name).is_dir():
            raise DataError(
                f"{short} is no folder of tables that can be read "
                f"({type(error).__name__}): give a table, or a folder for each class"
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


def open_built(builder: Any, name: str, wanted: Wanted) -> Parts:
    """Open the splits of a data set.

    Raises:
        DataError: it holds no tables, or has no such columns.
    """
    kind = type(builder).__module__.rpartition(".")[2]
    files = {str(split): list(paths) for split, paths in (builder.config.data_files or {}).items()}
    features = builder.info.features or {}
    if kind in _OURS and files:
        parts = {split: [read_file(path, wanted) for path in files[split]] for split in files}
        for table in (table for tables in parts.values() for table in tables):
            table.classes = table.classes or _names(features, wanted)
        return parts
    if kind not in ("parquet", "arrow"):
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


def _names(features: Any, wanted: Wanted) -> tuple[str, ...] | None:
    """Class names that the data set's card gives its label column."""
    named = {column: kind.names for column, kind in features.items() if hasattr(kind, "names")}
    names = named.get(wanted.label) if wanted.label else next(iter(named.values()), None)
    return tuple(names) if names else None


def built_key(builder: Any) -> str:
    """Changes whenever the data set does: its version on the hub, or its files' content."""
    whole = hashlib.sha256(f"{builder.hash}/{builder.config.name}".encode())
    for split, paths in sorted((builder.config.data_files or {}).items(), key=str):
        for path in paths:
            whole.update(f"{split}/{path if '://' in path else file_digest(Path(path))}".encode())
    return whole.hexdigest()
