"""One table file of any kind: told by its ending, or else by how it begins."""

from pathlib import Path

from fedseed.data.tables.arrow_table import read_arrow
from fedseed.data.tables.cells import NoColumnError, Table, Wanted
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.contents import foreign_content, looks_like_json
from fedseed.data.tables.delimited import read_delimited
from fedseed.data.tables.encoding import letters_of
from fedseed.data.tables.json_table import read_json
from fedseed.data.tables.labelled_lines import has_labels, read_labelled_lines
from fedseed.errors import DataError

READABLE = "CSV, TSV, JSON, JSON Lines, Parquet, Arrow, lines with __label__, or those packed"
_SEPARATED = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_JSON = frozenset({".json", ".jsonl", ".ndjson"})
_COLUMNAR = {".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow"}
_FOREIGN = {
    ".xlsx": "save its sheet as CSV in UTF-8", ".xls": "save its sheet as CSV in UTF-8",
    ".ods": "save its sheet as CSV in UTF-8", ".pkl": "pickles are not read: save it as Parquet",
    ".pickle": "pickles are not read: save it as Parquet", ".sqlite": "export a table as CSV",
    ".db": "export a table as CSV", ".tar": "unpack it, and give the folder",
    ".tgz": "unpack it, and give the folder", ".pdf": "give a table of texts and labels",
    ".docx": "give a table of texts and labels", ".npz": "save it as Parquet",
}  # fmt: skip
ENDINGS = frozenset({*_SEPARATED, *_JSON, *_COLUMNAR, ".txt", ".text"})
"""Endings of tables, without that of a packing."""


def read_file(path: str, wanted: Wanted) -> Table:
    """Open a table file.

    Args:
        path: a path, or an address that fsspec knows.
        wanted: what is asked of it.

    Raises:
        DataError: it is empty, of a kind that is not read, damaged, or has no such columns.
    """
    file = TableFile(path)
    if file.ending in _FOREIGN:
        raise DataError(f"{file.name} is no table that is read here: {_FOREIGN[file.ending]}")
    start = file.start(512)
    if not start.strip():
        raise DataError(f"{file.name} is empty: give a file with a text and a label column")
    if start.startswith(b"version https://git-lfs"):
        raise DataError(f"{file.name} is a pointer of git lfs, not the file: run git lfs pull")
    what = foreign_content(start)
    if what is not None:
        raise DataError(f"{file.name} {what}")
    if start.startswith(b"\x80") and file.ending not in _COLUMNAR and b"pandas" in start:
        raise DataError(f"{file.name} is a pickle, which is not read: save it as Parquet")
    if file.ending in _COLUMNAR or start.startswith((b"PAR1", b"ARROW1")):
        return _columnar(path, file, start, wanted)
    if file.ending in _SEPARATED:
        if looks_like_json(file.start()):
            raise DataError(f"{file.name} holds JSON by its first line: end its name in .json, or "
                            "in .jsonl if it is an object a line")  # fmt: skip
        return read_delimited(file, wanted, _SEPARATED[file.ending])
    if file.ending in _JSON:
        if wanted.encoding is None and letters_of(start)[:1] not in ("{", "["):
            raise DataError(
                f"{file.name} is not a readable table: no JSON, since it does not begin with a "
                "bracket; end its name in .csv if it holds separated values"
            )
        return read_json(file, wanted)
    return _told_by_content(file, start, wanted)


def _columnar(path: str, file: TableFile, start: bytes, wanted: Wanted) -> Table:
    if not start.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        raise DataError(f"{file.name} is not a readable table: no Parquet; make the file again")
    if file.packed():
        raise DataError(f"{file.name} is packed: unpack it first")
    return read_arrow(Path(path), "parquet" if start.startswith(b"PAR1") else "arrow", wanted)


def _told_by_content(file: TableFile, start: bytes, wanted: Wanted) -> Table:
    """A file whose name does not say what it is."""
    if has_labels(file):
        return read_labelled_lines(file, wanted)
    if letters_of(start).startswith(("{", "[")):
        table = read_json(file, wanted)
        table.notes.insert(0, "JSON by its content")
        return table
    try:
        table = read_delimited(file, wanted, ",")
    except NoColumnError as error:
        if wanted.text or wanted.label or wanted.separator:
            raise
        known = file.ending in (".txt", ".text")
        raise DataError(
            f"{file.name} is no table that can be told "
            f"{'apart from plain lines' if known else 'by its name'}: give {READABLE}, with the "
            "fitting ending; columns by --text-column and --label-column"
        ) from error
    table.notes.insert(0, "separated values by its content")
    return table
