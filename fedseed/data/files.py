"""Reading tables (CSV, Parquet, JSON Lines) and aclImdb folders."""

import hashlib
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedseed.errors import DataError, first_line

if TYPE_CHECKING:
    import pandas

TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz")
_USUAL = {"text": ("text", "review", "sentence"), "label": ("label", "sentiment", "labels")}


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def find_column(columns: Sequence[str], given: str | None, kind: str, where: str) -> str:
    """Name of the text or label column.

    Args:
        columns: the names that the data has.
        given: the name that the user gave, or None to look for the usual ones.
        kind: ``text`` or ``label``.
        where: the data's name, for the message.

    Raises:
        DataError: there is no such column.
    """
    for name in (given,) if given else _USUAL[kind]:
        if name in columns:
            return name
    wanted = f"'{given}'" if given else " or ".join(_USUAL[kind])
    raise DataError(
        f"{where} has no {kind} column {wanted}; its columns are "
        f"{', '.join(map(str, columns))[:200]}: give --{kind}-column NAME"
    )


def read_table(
    path: Path,
    text_column: str | None,
    label_column: str | None,
    keep: tuple[str, str] | None = None,
) -> tuple[list[str], list[object], str]:
    """Read the texts and the raw labels of a table.

    Args:
        path: a file whose name ends with one of :data:`TABLE_ENDINGS`.
        text_column: the text column, None for the usual names.
        label_column: the label column, None for the usual names.
        keep: a column and a value; only rows with that value are kept.

    Returns:
        Texts, labels as they stand in the file, and the file's name for messages.

    Raises:
        DataError: the file is empty or no such table, or a column or text is missing.
    """
    name = path.name
    if path.stat().st_size == 0:
        raise DataError(f"{name} is empty: give a file with a text and a label column")
    if not name.endswith(TABLE_ENDINGS):
        raise DataError(f"{name}: the name must end with {', '.join(TABLE_ENDINGS)}")
    try:
        table = _read_frame(path)
    except (ValueError, OSError, EOFError, LookupError, zlib.error, Warning) as error:
        # pandas, pyarrow and the decoders all report bad content as one of these.
        raise DataError(
            f"{name} is not a readable table ({first_line(error, 120)}): give comma-separated "
            "UTF-8, Parquet or JSON Lines"
        ) from error
    columns = list(table.columns)
    text = find_column(columns, text_column, "text", name)
    label = find_column(columns, label_column, "label", name)
    if keep:
        table = table[table[keep[0]] == keep[1]]
    if table.empty:
        raise DataError(f"{name} holds no rows: give a file with labelled texts")
    _refuse_missing(table, text, label, name)
    return [str(value) for value in table[text]], list(table[label]), name


def _refuse_missing(table: "pandas.DataFrame", text: str, label: str, name: str) -> None:
    """Raise a DataError for rows without a text or a label."""
    missing = table[text].isna() | table[label].isna()
    if missing.any():
        row = int(missing.to_numpy().argmax())
        part = text if bool(table[text].isna().iloc[row]) else label
        raise DataError(
            f"{name}: '{part}' is missing in data row {row + 1} "
            f"({int(missing.sum())} such rows): fill them in or drop them"
        )


def _read_frame(path: Path) -> "pandas.DataFrame":
    """Read a table as its name says; column names become strings."""
    import pandas

    if path.name.endswith(".parquet"):
        table = pandas.read_parquet(path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        table = pandas.read_json(path, lines=True, dtype=False)
    else:
        with warnings.catch_warnings():
            # A row with more fields than the header: a missing quote, not one to cut off.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            table = pandas.read_csv(
                path, dtype=str, keep_default_na=False, na_values=[""], index_col=False
            )
    table.columns = pandas.Index([str(column) for column in table.columns])
    return table


def read_acl_imdb(folder: Path) -> tuple[list[str], list[int], list[bool]]:
    """Read a folder in the layout of the original IMDB archive (Maas et al. 2011).

    Args:
        folder: holds ``train/{neg,pos}/*.txt`` and, if there is a test split,
            ``test/{neg,pos}/*.txt``; texts are UTF-8.

    Returns:
        Texts, labels (0 negative, 1 positive), and whether each is a test example.

    Raises:
        DataError: no such layout, or a file that is not UTF-8 text.
    """
    texts: list[str] = []
    labels: list[int] = []
    official: list[bool] = []
    for split in ("train", "test"):
        for label, part in enumerate(("neg", "pos")):
            for path in sorted((folder / split / part).glob("*.txt")):
                try:
                    texts.append(path.read_text(encoding="utf-8"))
                except (OSError, UnicodeDecodeError) as error:
                    raise DataError(f"{path.name} is not readable UTF-8 text: {error}") from error
                labels.append(label)
                official.append(split == "test")
    if not texts or all(official):
        raise DataError(
            f"{folder} is not an aclImdb folder: it needs train/neg and train/pos with .txt files"
        )
    return texts, labels, official
