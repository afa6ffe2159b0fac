"""The same table in every format has the same digest; what cannot be told is refused."""

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedseed.data.sources import open_source
from fedseed.data.splits import SplitRules
from fedseed.data.tables.cells import Wanted
from fedseed.data.tokens import Dataset, load_dataset
from fedseed.errors import DataError
from fedseed.models.published import tokenizer_file

from .made_tables import json_lines, put, rows, separated

BODY = [(f"{text} at the café", label) for text, label in rows(250, 250)]
RECORDS = [{"text": text, "label": label} for text, label in BODY]


def load(data: object, drop_rare: int = 0, **wanted: str | None) -> Dataset:
    """Read and tokenise a data set."""
    source = open_source(str(data), Wanted(**wanted))  # type: ignore[arg-type]
    return load_dataset(source, tokenizer_file("bert-tiny"), 16, rules=SplitRules(drop_rare))


def arrow(body: list[tuple[str, int]] = BODY) -> pa.Table:
    """Rows as an Arrow table."""
    return pa.table({"text": [text for text, _ in body], "label": [label for _, label in body]})


def write_parquet(path: Path) -> None:
    pq.write_table(arrow(), path)


def write_shards(path: Path) -> None:
    path.mkdir()
    for n in range(2):
        pq.write_table(arrow(BODY[250 * n : 250 * (n + 1)]), path / f"train-{n}-of-2.parquet")


def save_to_disk(path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset(arrow()).save_to_disk(path)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._a.csv", "x")
        archive.writestr("folder/a.csv", separated(BODY))


def write_zstd(path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as out:
        out.write(separated(BODY).encode())


def as_bytes(content: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode(encoding))


FORMATS: dict[str, Callable[[Path], object]] = {
    "a.csv": as_bytes(separated(BODY)),
    "B.CSV": as_bytes(separated(BODY), "utf-8-sig"),
    "crlf.csv": as_bytes(separated(BODY).replace("\n", "\r\n")),
    "utf16.csv": as_bytes(separated(BODY), "utf-16"),
    "a.tsv": as_bytes(separated(BODY, delimiter="\t")),
    "semicolon.csv": as_bytes(separated(BODY, delimiter=";")),
    "excel.csv": as_bytes("sep=;\r\n" + separated(BODY, delimiter=";")),
    "quoted.csv": as_bytes(separated(BODY, quoting=1)),
    "latin-1.csv": as_bytes(separated(BODY), "latin-1"),
    "a.json": as_bytes(json.dumps(RECORDS, indent=1)),
    "data.json": as_bytes(json.dumps({"version": "1", "data": RECORDS})),
    "columns.json": as_bytes(
        json.dumps({"text": [text for text, _ in BODY], "label": [label for _, label in BODY]})
    ),
    "a.jsonl": as_bytes(json_lines(RECORDS)),
    "a.ndjson": as_bytes(json_lines(RECORDS)),
    "fasttext.txt": as_bytes("".join(f"__label__{label} {text}\n" for text, label in BODY)),
    "a.txt": as_bytes(separated(BODY)),
    "no-ending": as_bytes(json_lines(RECORDS)),
    "a.parquet": write_parquet,
    "shards": write_shards,
    "saved": save_to_disk,
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(separated(BODY).encode())),
    "a.csv.xz": lambda path: path.write_bytes(lzma.compress(separated(BODY).encode())),
    "a.jsonl.bz2": lambda path: path.write_bytes(bz2.compress(json_lines(RECORDS).encode())),
    "a.csv.zst": write_zstd,
    "a.csv.zip": write_zip,
}


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the table as CSV."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        dataset = load(put(Path(folder) / "first.csv", separated(BODY)))
    assert (len(dataset.train), len(dataset.test)) == (400, 100)
    return dataset.sha256


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_the_same_table(tmp_path: Path, name: str, expected: str) -> None:
    FORMATS[name](tmp_path / name)
    dataset = load(tmp_path / name)
    assert dataset.sha256 == expected
    assert dataset.classes == ("0", "1")
    found = " ".join(dataset.notes)
    assert ("semicolon" in found) == (name == "semicolon.csv")
    assert ("cp1252" in found) == (name == "latin-1.csv")


def test_nothing_is_left_in_another_librarys_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(tmp_path / "shards")
    monkeypatch.setenv("FEDSEED_CACHE", str(tmp_path / "ours"))
    load(tmp_path / "shards")
    kept = [path for path in (tmp_path / "ours").rglob("*") if path.is_file()]
    assert not any(b"kettle" in path.read_bytes() for path in kept)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.xlsx", b"PK\x03\x04", "save its sheet as CSV"),
        ("a.pkl", b"\x80\x04", "pickles are not read"),
        ("a.tar.gz", gzip.compress(b"x" * 600, mtime=0), "unpack it"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.parquet", b"PAR1" + bytes(90), "not a readable table"),
        ("a.csv.gz", gzip.compress(separated(BODY).encode(), mtime=0)[:9], "not a readable table"),
        ("a.json", b'{"text": 5', "no JSON at line 1"),
        ("a.json", b"[1, 2]", "no table"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n[]\n', "line 2 is no JSON object"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "a", "text": "b"}\n', "a key twice"),
        ("a.txt", b"__label__a __label__b both\n", "line 1 has several labels"),
        ("a.txt", b"__label__a one\nnone\n", "line 2 does not begin with __label__"),
        ("a.txt", b"only lines\nof text\n", "--text-column"),
        ("a.csv", b"text,text,label\na,b,1\n", "several columns"),
        ("a.csv", b"review,sentence,label\na,b,1\n", "several columns could hold the text"),
        ("a.csv", b"text;label|sentiment\na,b,1\n", "no label column"),
    ],
)  # fmt: skip
def test_refused_with_the_next_step(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        load(put(tmp_path / name, content))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("several", [True, False])
def test_an_archive(tmp_path: Path, several: bool) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", separated(BODY))
        if several:
            archive.writestr("b.csv", separated(BODY))
    if several:
        with pytest.raises(DataError, match="holds 2 files: unpack it"):
            load(tmp_path / "a.zip")
    else:
        assert "separated values by its content" in load(tmp_path / "a.zip").notes


def test_an_encoding_that_is_given(tmp_path: Path, expected: str) -> None:
    path = put(tmp_path / "a.csv", separated(BODY), "cp850")
    assert load(path, encoding="cp850").sha256 == expected
    with pytest.raises(DataError, match="--encoding"):
        load(path, encoding="utf-8")
    with pytest.raises(DataError, match="no encoding of text"):
        load(path, encoding="rot13")


def test_a_separator_that_is_given(tmp_path: Path, expected: str) -> None:
    path = put(tmp_path / "a.csv", separated(BODY, delimiter="~"))
    assert load(path, separator="~").sha256 == expected
    with pytest.raises(DataError, match="no text column"):
        load(path)
    with pytest.raises(DataError, match="one character"):
        load(path, separator="~~")
