"""A folder of data: what it holds is found without a guess, or refused with what stands there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fedseed.data import hub_tables
from fedseed.data.digests import file_digest, key_of
from fedseed.data.reading import Parts, Source
from fedseed.data.tables.cells import Wanted
from fedseed.data.tables.class_folders import (
    Layout,
    find_class_folders,
    folders_in,
    not_read,
    read_class_folders,
    split_of,
)
from fedseed.data.tables.table_folders import (
    are_complete,
    choose_tables,
    is_table,
    open_tables,
    says_split,
    tables_below,
    tables_in,
)
from fedseed.errors import DataError

READER = 2
"""Goes up whenever the same bytes would be read otherwise."""


def open_folder(folder: Path, wanted: Wanted) -> Source:
    """A folder of texts by class, of ``save_to_disk``, or of tables.

    Raises:
        DataError: it holds none of them, or several of which each could be meant.
    """
    if hub_tables.is_saved_to_disk(folder):
        return open_saved(folder, wanted)
    layout, tables, below = find_class_folders(folder), tables_in(folder), tables_below(folder)
    in_hub_format = (hub_tables.has_card(folder) and bool(tables or below)) or (
        any(says_split(path) for path in below) and not are_complete(tables)
    )
    if len(layout.names) > 1:
        rivals = tables or (below if in_hub_format else [])
        if not rivals or _texts_are_meant(folder, layout, rivals, wanted):
            return _class_folders(folder, layout, wanted, not_read("file(s)", tables))
    texts = _folders_of(path for part in layout.folders for path in part.files[:1])
    if in_hub_format:
        notes = not_read("folder(s)", texts)
        return open_built(str(folder), None, f"folder {folder.name}", wanted, notes, tables)
    if tables:
        return _tables(folder, tables, wanted, not_read("folder(s)", [*texts, *_folders_of(below)]))
    return _deeper(folder, layout, wanted)


def _deeper(folder: Path, layout: Layout, wanted: Wanted) -> Source:
    """A folder that holds the folder of the texts, or something else that the library reads.

    Raises:
        DataError: it holds several, or nothing that can be read.
    """
    deeper = [path for path in folders_in(folder) if len(find_class_folders(path).names) > 1]
    if len(deeper) > 1:
        listed = ", ".join(path.name for path in deeper)[:200]
        raise DataError(f"{folder.name} holds folders of which each has a folder for each class "
                        f"({listed}): give --data {folder}/{deeper[0].name}")  # fmt: skip
    if deeper:
        notes = [f"the texts are in its folder {deeper[0].name}"]
        return _class_folders(folder, find_class_folders(deeper[0]), wanted, notes)
    if layout.names:
        return _class_folders(folder, layout, wanted, [])
    return open_built(str(folder), None, f"folder {folder.name}", wanted)


def _texts_are_meant(folder: Path, layout: Layout, tables: list[Path], wanted: Wanted) -> bool:
    """Whether folders of texts are read rather than the tables beside them.

    Raises:
        DataError: both could be meant.
    """
    good = any(split_of(path.name) or is_table(path, wanted) for path in tables)
    if good != layout.by_split:
        return not good
    what = ", ".join(path.name for path in tables[:3])
    folders = ", ".join(dict.fromkeys(part.name for part in layout.folders[:5]))
    raise DataError(
        f"{folder.name} holds tables ({what}) and folders of texts ({folders}): give --data "
        f"{tables[0]}, or move one of the two elsewhere"
    )


def _folders_of(files: Iterable[Path]) -> list[Path]:
    """The folders that some files lie in, each once."""
    return list(dict.fromkeys(path.parent for path in files))


def open_saved(folder: Path, wanted: Wanted) -> Source:
    """A folder of ``save_to_disk``."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".arrow", ".json"))
    key = key_of(READER, *(file_digest(path) for path in files), wanted)
    return Source(
        f"folder {folder.name}", key, lambda: hub_tables.open_saved(folder, wanted), wanted
    )


def _class_folders(folder: Path, layout: Layout, wanted: Wanted, notes: list[str]) -> Source:
    layout = replace(layout, notes=(*notes, *layout.notes))
    # Names, sizes and times stand for 50,000 contents that would take seconds to read.
    listing = [
        f"{path}/{path.stat().st_size}/{path.stat().st_mtime_ns}"
        for part in layout.folders
        for path in part.files
    ]
    key = key_of(READER, "class folders", wanted, *listing, *layout.notes)
    imdb = layout.names == ("negative", "positive")
    return Source(
        f"{'aclImdb folder' if imdb else 'folder'} {folder.name}",
        key,
        lambda: read_class_folders(layout, folder.name, wanted),
        wanted,
    )


def _tables(folder: Path, tables: list[Path], wanted: Wanted, notes: list[str]) -> Source:
    chosen = choose_tables(folder, tables, wanted, notes)
    listing = [f"{split}/{path.name}/{file_digest(path)}"
               for split, paths in chosen.items() for path in paths]  # fmt: skip

    def parts() -> Parts:
        return _noted(open_tables(chosen, wanted), notes)

    return Source(
        f"folder {folder.name}", key_of(READER, "tables", wanted, *listing, *notes), parts, wanted
    )


def open_built(
    name: str, config: str | None, shown: str, wanted: Wanted,
    notes: Sequence[str] = (), tables: Sequence[Path] = (),
) -> Source:  # fmt: skip
    """A name on the hub, or a folder in the hub's format.

    Args:
        name: the name or the folder's path.
        config: the configuration, if one was given.
        shown: what it is called in a plan.
        wanted: what is asked of its tables.
        notes: what was left out so far.
        tables: tables at a folder's top, to say which of them are not read.
    """
    builder = hub_tables.find_builder(name, config)
    read = {Path(path) for paths in (builder.config.data_files or {}).values() for path in paths}
    left = not_read("file(s)", (path for path in tables if path.absolute() not in read))
    said = [*notes, *left]
    key = key_of(READER, hub_tables.built_key(builder), wanted, *said)
    return Source(
        shown, key, lambda: _noted(hub_tables.open_built(builder, name, wanted), said), wanted
    )


def _noted(parts: Parts, notes: Sequence[str]) -> Parts:
    """Tables, of which the first for training has some more notes."""
    for table in parts.get("train", [])[:1]:
        table.notes += notes
    return parts
