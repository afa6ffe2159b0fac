"""Folders: what stands in them is read as it is meant, what is left out is said, doubt refused."""

import io
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from fedseed.data.tokens import Dataset
from fedseed.errors import DataError

from .made_tables import json_lines, put, rows, separated
from .test_formats import load

TWO = rows(60, 60)
TRAIN, TEST = separated(TWO[:80]), separated(TWO[80:])
WHOLE = separated(TWO)
LINES = "".join(f"__label__{label} {text}\n" for text, label in TWO)


def texts(*folders: str, ending: str = ".txt", count: int = 6) -> dict[str, str]:
    """Files of one text each in some folders."""
    return {
        f"{folder}/{n}{ending}": f"a text about {folder} and {n} {ending}"
        for folder in folders
        for n in range(count)
    }


SPLIT = texts("train/a", "train/b", "test/a", "test/b")
CARD = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: lang
    dtype:
      class_label:
        names:
          '0': en
          '1': de
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
---
"""


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        put(folder / name, content)
    return folder


def said(dataset: Dataset) -> str:
    return "; ".join(dataset.notes)


@pytest.mark.parametrize(
    ("files", "sizes", "note"),
    [
        ({"train.csv": TRAIN, "test.csv": TEST, **texts("docs", "notes")}, (80, 40), "docs, notes"),
        ({"train.csv": TRAIN, "test.csv": TEST, **texts("docs")}, (80, 40), "docs"),
        ({"data.csv": WHOLE, **texts("LICENSES", "bin", ending="")}, (96, 24), "LICENSES, bin"),
        ({"data/train.csv": TRAIN, "data/test.csv": TEST, **texts("a", "b")}, (80, 40), "a, b"),
        (
            {
                "train.txt": LINES,
                "test.txt": "".join(LINES.splitlines(True)[:30]),
                **texts("docs", "notes"),
            },
            (90, 30),
            "docs, notes",
        ),
        ({"TRAIN.CSV": TRAIN, "Test.Csv": TEST}, (80, 40), ""),
        ({"train.psv": separated(TWO[:80], delimiter="|"), "test.csv": TEST}, (80, 40), ""),
        ({"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": "id"}, (80, 40), "sample"),
        ({"reviews.csv": WHOLE, "stats.json": "{}"}, (96, 24), "stats.json"),
        ({"TRAIN.CSV": WHOLE, "README.md": "---\nlicense: mit\n---\n"}, (96, 24), ""),
        ({"train.csv": WHOLE, "README.md": CARD, **texts("a", "b")}, (96, 24), "a, b"),
        ({**SPLIT, **texts("docs", "notes")}, (12, 12), "docs, notes"),
        ({**SPLIT, "labels.csv": "a,b\n1,2\n"}, (12, 12), "labels.csv"),
        ({f"x-{name}": text for name, text in SPLIT.items()}, (12, 12), ""),
        (texts("txt_sentoken/pos", "txt_sentoken/neg"), (10, 2), "folder txt_sentoken"),
        ({**texts("pos", "neg"), "metadata.csv": "file,label\n"}, (10, 2), ""),
    ],
)
def test_what_is_meant_is_read(
    tmp_path: Path, files: dict[str, str], sizes: tuple[int, int], note: str
) -> None:
    dataset = load(fill(tmp_path, files))
    assert (len(dataset.train), len(dataset.test)) == sizes
    assert note in said(dataset)


@pytest.mark.parametrize(
    ("files", "left_out"),
    [
        (texts("pos/old", count=40), "40 in folders below them"),
        ({**texts("pos", ending=".md"), **texts("pos", ending=".html")}, "6 ending in .md"),
        ({"pos/README": "about", "neg/README.txt": "about"}, "2 README or licence"),
        (texts("so", ending=".md"), "without texts right in them so"),
        ({"pos/.hidden": "x", "neg/.DS_Store": "x"}, ""),
    ],
)
def test_what_is_left_out_of_the_folders_of_classes_is_said(
    tmp_path: Path, files: dict[str, str], left_out: str
) -> None:
    dataset = load(fill(tmp_path, texts("pos", "neg", count=20) | files))
    assert len(dataset.train) + len(dataset.test) == 40
    assert left_out in said(dataset)
    assert ("not read" in said(dataset)) == bool(left_out)


def test_a_folder_of_a_split_without_classes(tmp_path: Path) -> None:
    files = {**texts("train/a", "train/b", "train/unsup"), **texts("test", count=20)}
    dataset = load(fill(tmp_path, files))
    assert "20 file(s) of the folder test, which lie in no folder of a class" in said(dataset)
    assert "unsup of the train split" in said(dataset)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**SPLIT, "train.csv": TRAIN}, r"tables \(train.csv\) and folders of texts \(a, b\)"),
        ({**texts("docs", "notes"), "reviews.csv": "x,y\n"}, r"folders of texts \(docs, notes\)"),
        (texts("News/a", "News/b", "Short/a", "Short/b"), r"\(News, Short\): give --data"),
        ({"train.csv": TRAIN, "train.jsonl": "{}"}, "the train split in several kinds"),
        ({"pos.txt": "one\ntwo\n", "neg.txt": "three\nfour\n"}, "a folder for each class"),
        ({"train.csv": TRAIN, "test.csv": "id,text\n1,q\n"}, r"has no labels.*\(train.csv\)"),
        ({"train.csv": TRAIN + "text,label\n", "test.csv": TEST}, "row 82 .* repeats the column"),
        (texts("docs"), "one class only"),
        (texts("Pos", "pos"), "differ only in how their names are written"),
        ({"README.md": "---\nconfigs: [\n---\n", "train.csv": TRAIN}, "README.md cannot be read"),
        ({"README.md": CARD, "train.csv": TRAIN, "test.jsonl": "{}"}, "no folder of tables"),
        (
            {"README.md": CARD.replace("'0': neg", "'3': neg"), "train.csv": TRAIN},
            "README.md cannot be read",
        ),
    ],
)
def test_refused(tmp_path: Path, files: dict[str, str], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        load(fill(tmp_path, files))
    assert "note" not in str(caught.value).replace("notes", "")


def test_tables_of_several_kinds(tmp_path: Path) -> None:
    expected = load(fill(tmp_path / "a", {"train.csv": TRAIN, "test.csv": TEST}))
    lines = json_lines([{"text": text, "label": label} for text, label in TWO[80:]])
    mixed = load(fill(tmp_path / "b", {"train.csv": TRAIN, "test.jsonl": lines}))
    columns = [
        {"text": [text for text, _ in part], "label": [label for _, label in part]}
        for part in (TWO[:80], TWO[80:])
    ]
    (tmp_path / "c").mkdir()
    for name, part in zip(("train", "test"), columns, strict=True):
        feather.write_feather(pa.table(part), tmp_path / "c" / f"{name}.feather")
    (tmp_path / "d").mkdir()
    for n, part in enumerate(columns):
        extra = {"id": list(range(len(part["text"])))} if n else {}
        pq.write_table(pa.table(extra | part), tmp_path / "d" / f"part-{n}.parquet")
    assert mixed.sha256 == load(tmp_path / "c").sha256 == expected.sha256
    assert load(tmp_path / "d").sha256 == load(put(tmp_path / "e.csv", WHOLE)).sha256


@pytest.mark.parametrize("label", [None, "label", "3"])
def test_the_card_names_the_classes_of_its_own_column(tmp_path: Path, label: str | None) -> None:
    body = [(text, n % 2, number) for n, (text, number) in enumerate(TWO)]
    files = {"README.md": CARD, "train.csv": separated(body, ("text", "lang", "label"))}
    assert load(fill(tmp_path, files), label=label).classes == ("neg", "pos")
    other = CARD.partition("  - name: label")[0] + "---\n"
    assert load(fill(tmp_path, {"README.md": other}), label=label).classes == ("0", "1")


def test_no_word_of_the_library(tmp_path: Path) -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    library = logging.getLogger("huggingface_hub")
    library.addHandler(handler)
    load(fill(tmp_path, {"data/train.csv": WHOLE, "README.md": "# Reviews\n"}))
    library.removeHandler(handler)
    assert said.getvalue() == ""


def test_one_user_however_it_is_written(tmp_path: Path) -> None:
    users = ["1", "1.0", "2", "2.00", "a"]
    body = [(users[n % 5], text, label) for n, (text, label) in enumerate(TWO)]
    path = put(tmp_path / "a.csv", separated(body, ("user", "text", "label")))
    groups = load(path, group="user").groups
    assert groups is not None
    assert sorted(set(groups)) == [0, 1, 2]


def saved(folder: Path, count: int = 120) -> Path:
    import datasets

    datasets.disable_progress_bars()
    columns = {"text": [text for text, _ in TWO], "label": [label for _, label in TWO]}
    whole = datasets.Dataset.from_dict(columns)
    parts = {"train": whole.select(range(min(80, count))), "test": whole.select(range(80, 120))}
    datasets.DatasetDict(parts).save_to_disk(folder)
    return folder


def test_saved_splits_without_their_list(tmp_path: Path) -> None:
    (saved(tmp_path / "a") / "dataset_dict.json").unlink()
    dataset = load(tmp_path / "a")
    assert (len(dataset.train), len(dataset.test)) == (80, 40)


def test_saved_files_that_are_missing(tmp_path: Path) -> None:
    shard = next((saved(tmp_path / "a") / "train").glob("*.arrow"))
    shard.unlink()
    with pytest.raises(DataError, match=rf"{shard.name} is missing"):
        load(tmp_path / "a")
    state = tmp_path / "a" / "train" / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"_data_files": []}))
    with pytest.raises(DataError, match="holds no rows"):
        load(tmp_path / "a")


def test_a_file_is_no_name_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave out hub:"):
        load(f"hub:{put(tmp_path / 'a.csv', WHOLE)}")
