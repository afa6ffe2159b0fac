"""Folders in the formats of the datasets library: words stay words, rows are named, names kept."""

import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedseed.errors import DataError

from .made_tables import put, rows, separated
from .test_formats import load

TRAIN, TEST = rows(40, 40), [(f"unseen {text}", label) for text, label in rows(15, 15, seed=3)]


def test_the_word_null_stays_a_word(tmp_path: Path) -> None:
    put(tmp_path / "train.csv", separated([("NA", 0), ("null", 1), *TRAIN]))
    put(tmp_path / "test.csv", separated(TEST))
    dataset = load(f"hub:{tmp_path}")
    assert (len(dataset.train), len(dataset.test), dataset.classes) == (82, 30, ("0", "1"))


def test_a_missing_label_is_named_by_its_row(tmp_path: Path) -> None:
    put(tmp_path / "train.csv", separated([*TRAIN[:3], ("no label", ""), *TRAIN[3:]]))
    put(tmp_path / "test.csv", separated(TEST))
    with pytest.raises(DataError, match=r"train\.csv: the label of data row 4 is missing"):
        load(f"hub:{tmp_path}")


@pytest.mark.parametrize("prefix", ["", "hub:"])
def test_splits_that_were_saved_to_disk(tmp_path: Path, prefix: str) -> None:
    import datasets

    datasets.disable_progress_bars()
    parts = {}
    for name, body in (("train", TRAIN), ("test", TEST)):
        columns = {"text": [text for text, _ in body], "label": [label for _, label in body]}
        parts[name] = datasets.Dataset.from_dict(columns)
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    dataset = load(f"{prefix}{tmp_path / 'saved'}")
    assert (len(dataset.train), len(dataset.test)) == (80, 30)


def test_columns_as_other_tools_write_them(tmp_path: Path) -> None:
    texts, numbers = [text for text, _ in TRAIN], [label for _, label in TRAIN]
    words = pa.array(["neg" if n == 0 else "pos" for n in numbers])
    tables = {
        "dictionary": (pa.array(texts).dictionary_encode(), words.dictionary_encode()),
        "large": (pa.array(texts, pa.large_string()), pa.array(numbers, pa.uint8())),
        "bool": (pa.array(texts), pa.array([n == 1 for n in numbers])),
        "decimal": (pa.array(texts), pa.array(numbers, pa.int64()).cast(pa.decimal128(20, 1))),
    }
    digests = set()
    for name, (text, label) in tables.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"text": text, "label": label}), path, compression="zstd")
        digests.add(load(path).sha256)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int8())}), "no row"),
        (pa.table([["a"], ["b"], [1]], names=["text", "text", "label"]), "two columns of one name"),
        (pa.table({"text": pa.array([[("q", "q")]], pa.map_(pa.string(), pa.string())),
                   "label": [1]}), "a column of maps"),
    ],
)  # fmt: skip
def test_what_is_odd_in_a_parquet_file_is_said(tmp_path: Path, table: pa.Table, says: str) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=says):
        load(tmp_path / "a.parquet")


def test_a_zip_of_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w"):
        pass
    with pytest.raises(DataError, match="holds no file"):
        load(tmp_path / "a.csv.zip")
