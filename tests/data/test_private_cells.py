"""No cell of a table stands in a message, whatever is wrong with the table."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.data.sources import open_source
from fedseed.data.splits import split, text_digests
from fedseed.data.tables.cells import Wanted
from fedseed.errors import DataError

from .made_tables import separated

MARK = "qzx"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda text: f"{MARK} {text}")
CELLS = st.one_of(
    TEXTS,
    st.sampled_from([f"{MARK}good", f"{MARK} Good", f"{MARK}good ", f"['{MARK}']", "", " "]),
    st.none(),
    st.lists(TEXTS, max_size=2),
    st.dictionaries(TEXTS, TEXTS, max_size=1),
    st.integers(-1, 3),
    st.floats(),
)
HEADERS = st.sampled_from(
    [("text", "label"), ("text", f"{MARK} label"), (f"{MARK}1", f"{MARK}2"), ("text", "text"), None]
)
NAMES = st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json", "a.parquet", "a"])
COLUMNS = st.sampled_from([None, "text", "body", "1", "2", "9", "1+2"])


def write(path: Path, body: list[tuple[object, object]], header: tuple[str, str] | None) -> None:
    """Write a table of any cells as the name says."""
    names = [name.replace(MARK, "") for name in header or ("body", "stars")]  # keys are no cells
    records = [dict(zip(names, row, strict=True)) for row in body]
    if path.suffix == ".parquet":
        words = [{name: str(cell) for name, cell in record.items()} for record in records]
        try:
            pq.write_table(pa.Table.from_pylist(records), path)
        except pa.ArrowException:  # cells of one column are of several types, or of an odd one
            pq.write_table(pa.Table.from_pylist(words), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(records))
    elif path.suffix in (".jsonl", ""):
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    else:
        path.write_text(separated(body, header), encoding="utf-8")


def refusal(path: Path, wanted: Wanted) -> str:
    """What is said of a table that is refused; nothing of one that is read."""
    try:
        texts = open_source(str(path), wanted).read()
        split(text_digests(texts.texts), np.array(texts.labels))
    except DataError as error:
        return str(error)
    return ""


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), HEADERS, NAMES, COLUMNS, COLUMNS)
def test_no_cell_in_a_message(
    body: list[tuple[object, object]],
    header: tuple[str, str] | None,
    name: str,
    text: str | None,
    label: str | None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path, body, header)
        message = refusal(path, Wanted(text, label))
        assert MARK not in message
        assert len(message.splitlines()) <= 1
