"""Parquet and Arrow tables, through the datasets library and without a copy in its cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedseed.data.tables.cells import Cells, Table, Wanted, choose_columns, describe_choice
from fedseed.data.tables.json_table import refuse_separators
from fedseed.errors import DataError, one_line
from fedseed.hub import datasets_library

_ROWS = 1000


def table_of(dataset: Any, name: str, wanted: Wanted) -> Table:
    """A data set of the datasets library, streamed or mapped from disk, as a table.

    Raises:
        DataError: it has no such columns, or they hold no texts.
    """
    refuse_separators(wanted, name)
    features = dataset.features or {}
    columns = list(features) or list(dataset.column_names or [])
    if not columns:
        raise DataError(f"{name} holds no columns: give a table with texts and labels")
    choice = choose_columns(columns, wanted, name, columns)
    read = [columns[n] for n in (*choice.text, choice.label)]
    read += [] if choice.group is None else [columns[choice.group]]

    def rows() -> Iterator[Cells]:
        part = dataset.select_columns(list(dict.fromkeys(read))).with_format("arrow")
        try:
            for batch in part.iter(_ROWS):
                lists = [batch.column(column).to_pylist() for column in read]
                for cells in zip(*lists, strict=True):
                    texts = len(choice.text)
                    group = cells[-1] if choice.group is not None else None
                    yield Cells(cells[:texts], cells[texts], group)
        except Exception as error:  # pyarrow's and the library's own kinds are many
            raise DataError(
                f"{name} is not a readable table ({type(error).__name__}): make the file again"
            ) from error

    names = getattr(features.get(columns[choice.label]), "names", None)
    return Table(name, rows, tuple(names) if names else None, [describe_choice(columns, choice)])


def _refuse_odd(path: Path, builder: str) -> None:
    """Raise a DataError for a file that the library cannot take, and say why."""
    try:
        what = _odd(path, builder)
    except Exception as error:  # pyarrow's own kinds are many
        raise DataError(
            f"{path.name} is not a readable table ({type(error).__name__}): make the file again"
        ) from error
    if what:
        raise DataError(f"{path.name} {what}")


def _odd(path: Path, builder: str) -> str | None:
    """What is odd in a file that is sound."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if builder == "parquet":
        about = pq.read_metadata(path)
        schema, rows = about.schema.to_arrow_schema(), about.num_rows
    else:
        schema, rows = _arrow_schema(path), 1
    if not rows:
        return "holds no rows: give a file with labelled texts"
    if len(set(schema.names)) < len(schema.names):
        return "has two columns of one name: rename one"
    for field in schema:
        if pa.types.is_map(field.type):
            name = one_line(field.name, 40)
            return f"has a column of maps ({name}): leave it out, or save its values"
    return None


def _arrow_schema(path: Path) -> Any:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        try:
            return pa.ipc.open_file(file).schema
        except pa.ArrowInvalid:
            file.seek(0)
            return pa.ipc.open_stream(file).schema


def read_arrow(path: Path, builder: str, wanted: Wanted) -> Table:
    """Open a Parquet or Arrow file.

    Args:
        path: the file.
        builder: ``parquet`` or ``arrow``.
        wanted: what is asked of it.

    Raises:
        DataError: it is damaged or has no such columns.
    """
    _refuse_odd(path, builder)
    try:
        dataset: Any = datasets_library().load_dataset(
            builder, data_files=[str(path)], split="train", streaming=True
        )
        if dataset.features is None:
            dataset = dataset._resolve_features()
    except Exception as error:  # pyarrow's and the library's own kinds are many
        raise DataError(
            f"{path.name} is not a readable table ({type(error).__name__}): make the file again"
        ) from error
    return table_of(dataset, path.name, wanted)
