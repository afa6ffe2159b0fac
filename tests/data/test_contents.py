"""Files that are not what their names say, and those whose names say nothing."""

import gzip
import io
import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

from fedseed.data.sources import open_source
from fedseed.data.tables.cells import Wanted
from fedseed.errors import DataError

from .made_tables import json_lines, put, rows, separated
from .test_formats import load

TWO = rows(60, 60)
RECORDS = [{"text": text, "label": label} for text, label in TWO]
TABLE = separated(TWO).encode()


def sqlite_file() -> bytes:
    database = sqlite3.connect(":memory:")
    database.execute("create table a (text, label)")
    return database.serialize()


def tar_file() -> bytes:
    with io.BytesIO() as out:
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("a.csv"), io.BytesIO())
        return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"\n<!DOCTYPE html><html>a,b\n", "a web page"),
        ("a.txt", b"\xef\xbb\xbf<HTML>\n<p>text,label\n", "a web page"),
        ("a.json", b"<html>\n", "a web page"),
        ("a.csv", json_lines(RECORDS).encode(), "holds JSON by its first line: end its name"),
        ("a.csv", json.dumps(RECORDS, indent=1).encode(), "holds JSON by its first line"),
        ("a.tsv", json.dumps(RECORDS).encode("utf-16"), "holds JSON by its first line"),
        ("a.json", TABLE, "end its name in .csv"),
        ("a.jsonl", TABLE, "end its name in .csv"),
        ("a.csv.gz", gzip.compress(tar_file(), mtime=0), "holds a tar archive"),
        ("a.csv.gz", gzip.compress(gzip.compress(TABLE, mtime=0), mtime=0),
         "gzip once more by its first bytes: unp"),
        ("a.csv", sqlite_file(), "an SQLite database by its first bytes: export"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel workbook"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(90), "holds a picture"),
        ("a.csv", b"ORC\n\x0b\n\x03\x00\x00\x00\x12", "holds ORC"),
    ],
)  # fmt: skip
def test_what_a_file_holds(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    for columns in ({}, {"text": "1", "label": "2"}):
        with pytest.raises(DataError) as caught:
            load(put(tmp_path / name, content), **columns)
        assert says in str(caught.value)


def test_orc_is_a_name_as_well(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", separated(TWO, ("ORC", "label")))
    assert len(open_source(str(path), Wanted("ORC")).read().texts) == 120


RAGGED = TABLE.replace(b"note 1", b"note, and 1", 1).replace(b",", b"\t")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.data"])
@pytest.mark.parametrize(
    ("content", "wanted", "says"),
    [
        (RAGGED, {}, "has 3 cells, the first line 2"),
        (TABLE.replace(b"note 1", b'"note 1', 1), {}, "has a quote that is not closed"),
        (separated([(t, t, n) for t, n in TWO], ("text", "text", "label")).encode(), {}, "several"),
        (TABLE, {"text": "body"}, "no text column 'body'"),
        (TABLE, {"label": "3"}, "no column 3"),
        (TABLE, {"encoding": "nonsense"}, "no encoding of text"),
        (TABLE, {"encoding": "utf-16"}, "has no byte order mark"),
        (TABLE, {"separator": ",,"}, "--separator takes one character"),
        (TABLE, {"separator": ";"}, "no text column"),
        (b"Of May.\n" + TABLE, {}, "stand in line 2"),
        (b"a text, and another\nand so on\n", {}, "is no table that can be told"),
    ],
)
def test_any_name_has_the_same_message(
    tmp_path: Path, name: str, content: bytes, wanted: dict[str, str], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        load(put(tmp_path / name, content), **wanted)


@pytest.mark.parametrize("layout", ["{m}{n}\t{t}", "{m}{n}  {t} ", "  {m}{n}\u3000{t}\t"])
def test_white_space_around_labels(tmp_path: Path, layout: str) -> None:
    content = "".join(f"{layout}\n".format(m="__label__", n=n, t=t) for t, n in TWO)
    dataset = load(put(tmp_path / "a.txt", content))
    assert dataset.classes == ("0", "1")
    assert dataset.sha256 == load(put(tmp_path / "a.csv", TABLE)).sha256
    wide = load(put(tmp_path / "b.txt", content, "utf-16"))
    assert wide.sha256 == dataset.sha256


@pytest.mark.parametrize(
    "line", ["__label__0,__label__x a", "__label__0 a __label__x", "__label__0 __label__x a"]
)
def test_several_labels_on_a_line(tmp_path: Path, line: str) -> None:
    content = "".join(f"__label__{label} {text}\n" for text, label in TWO)
    with pytest.raises(DataError, match="line 121 has several labels") as caught:
        load(put(tmp_path / "a.txt", f"{content}{line}\n"))
    assert "__label__x" not in str(caught.value)
