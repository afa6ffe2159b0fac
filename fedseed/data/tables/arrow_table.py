"""Parquet and Arrow tables, through the datasets library and without a copy in its cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedseed.data.tables.cells import Cells, Table, Wanted, choose_columns, describe_choice
from fedseed.errors import DataError
from fedseed.hub import datasets_library

_ROWS = 1000


def table_of(dataset: Any, name: str, wanted: Wanted) -> Table:
    """A data set of the datasets library, streamed or mapped from disk, as a table.

    Raises:
        DataError: it has no such columns, or they hold no texts.
    """
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


def read_arrow(path: Path, builder: str, wanted: Wanted) -> Table:
    """Open a Parquet or Arrow file.

    Args:
        path: the file.
        builder: ``parquet`` or ``arrow``.
        wanted: what is asked of it.

    Raises:
        DataError: it is damaged or has no such columns.
    """
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
