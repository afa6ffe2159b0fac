"""Tables as people have them: read as their owners mean them, or refused with the row."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedseed.data.sources import open_source
from fedseed.data.tokens import load_dataset
from fedseed.errors import DataError

from .made_tables import json_lines, put, rows, separated
from .test_formats import load

TWO = rows(60, 60)


def test_missing_words_stay_words(tmp_path: Path) -> None:
    words = [("NA", 0), ("null", 1), ("None", 0), ("nan", 1), ("N/A", 0)]
    dataset = load(put(tmp_path / "a.csv", separated([*words, *TWO])))
    assert len(dataset.train) + len(dataset.test) == 125


def test_empty_texts_are_dropped_alike_in_all_formats(tmp_path: Path) -> None:
    body = [*TWO, ("", 0), ("  \t ", 1), ("\u200b\u200d", 1)]
    put(tmp_path / "a.csv", separated(body))
    records = [{"text": text, "label": label} for text, label in [*body, (None, 0)]]
    put(tmp_path / "a.jsonl", json_lines(records))
    table = {"text": [text for text, _ in body] + [None], "label": [n for _, n in body] + [1]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    datasets = [load(tmp_path / name) for name in ("a.csv", "a.jsonl", "a.parquet")]
    assert [dataset.empty_dropped for dataset in datasets] == [3, 4, 4]
    assert len({dataset.sha256 for dataset in datasets}) == 1


@pytest.mark.parametrize("kind", ["a.csv", "a.jsonl", "a.parquet"])
def test_texts_that_are_all_empty(tmp_path: Path, kind: str) -> None:
    if kind == "a.parquet":
        pq.write_table(pa.table({"text": pa.nulls(8), "label": [0, 1] * 4}), tmp_path / kind)
    else:
        records = [{"text": "", "label": n % 2} for n in range(8)]
        body = separated([("", n % 2) for n in range(8)])
        put(tmp_path / kind, body if kind == "a.csv" else json_lines(records))
    with pytest.raises(DataError, match="none of the 8 rows has a text"):
        load(tmp_path / kind)


def test_a_text_without_a_token_reaches_no_model(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made = Tokenizer(models.BPE({letter: n for n, letter in enumerate(sorted(alphabet))}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.save(str(tmp_path / "tokenizer.json"))
    path = put(tmp_path / "a.csv", separated([*TWO, ("", 1)]))
    dataset = load_dataset(open_source(str(path)), tmp_path / "tokenizer.json", 16)
    assert dataset.empty_dropped == 1
    assert int((dataset.table.offsets[1:] - dataset.table.offsets[:-1]).min()) > 0


def test_texts_that_the_tokenizer_cannot_tell_apart_are_duplicates(tmp_path: Path) -> None:
    shouted = [(text.upper(), label) for text, label in TWO]
    dataset = load(put(tmp_path / "a.csv", separated([*TWO, *shouted])))
    assert (dataset.duplicates_dropped, dataset.conflicts) == (120, 0)


def test_long_texts_that_begin_alike_are_no_duplicates(tmp_path: Path) -> None:
    start = "the same words again and again " * 20
    body = [(f"{start}{n}", n % 2) for n in range(40)]
    assert load(put(tmp_path / "a.csv", separated(body))).duplicates_dropped == 0


def test_conflicts_are_counted_and_said(tmp_path: Path) -> None:
    other = [(text, 1 - label) for text, label in TWO[:30]]
    dataset = load(put(tmp_path / "a.csv", separated([*TWO, *other])))
    assert (dataset.duplicates_dropped, dataset.conflicts) == (30, 30)
    assert any("another label" in note for note in dataset.notes)


def test_bytes_are_decoded(tmp_path: Path) -> None:
    texts = pa.array([text.encode() for text, _ in TWO], pa.binary())
    pq.write_table(pa.table({"text": texts, "label": [n for _, n in TWO]}), tmp_path / "a.parquet")
    expected = load(put(tmp_path / "a.csv", separated(TWO))).sha256
    assert load(tmp_path / "a.parquet").sha256 == expected


def test_half_an_emoji_is_replaced(tmp_path: Path) -> None:
    lines = json_lines([{"text": text, "label": label} for text, label in TWO])
    both = [put(tmp_path / f"{half}.jsonl", lines.replace("note", f"\\ud83d{half} note", 1))
            for half in ("", "\\ude00")]  # fmt: skip
    texts = [open_source(str(path)).read().texts[0] for path in both]
    assert texts[0].startswith("\ufffd note")
    assert texts[1].startswith("\U0001f600 note")


@pytest.mark.parametrize(
    ("lines", "row"),
    [
        # closed by a quote that begins another row
        ({10: '"so good that it hurts,1', 50: '"not again please,0'}, 12),
        # closed by a quote at the end of a text
        ({10: '"so good that it hurts,1', 50: 'the screen has 5",0'}, 12),
        # closed in the very next row
        ({10: '"so good that it hurts,1', 11: 'the screen has 5",0'}, 12),
        # never closed
        ({10: '"so good that it hurts,1'}, 12),
    ],
)
def test_a_quote_that_is_not_closed_is_refused_with_its_row(
    tmp_path: Path, lines: dict[int, str], row: int
) -> None:
    body = [f"{text},{label}" for text, label in TWO]
    for place, line in lines.items():
        body[place] = line
    path = put(tmp_path / "a.csv", "\n".join(["text,label", *body]) + "\n")
    with pytest.raises(DataError, match=f"row {row} ") as caught:
        load(path)
    assert "hurts" not in str(caught.value)


def test_quoted_texts_of_several_lines(tmp_path: Path) -> None:
    body = [(f'{text}.\nHe said "fine", then\nleft, 1', label) for text, label in TWO]
    dataset = load(put(tmp_path / "a.csv", separated(body)))
    assert len(dataset.train) + len(dataset.test) == 120


def test_quotes_behind_a_backslash(tmp_path: Path) -> None:
    lines = [f'"{text} said \\"ok, fine\\" then",{label}' for text, label in TWO]
    dataset = load(put(tmp_path / "a.csv", "\n".join(["text,label", *lines])))
    assert "quotes within quotes stand behind a backslash" in dataset.notes


def test_columns_by_number_where_there_is_no_header(tmp_path: Path) -> None:
    body = [(label + 1, text[:12], text[12:]) for text, label in TWO]
    path = put(tmp_path / "a.csv", separated(body, header=None, quoting=1))
    dataset = load(path, text="2+3", label="1")
    assert len(dataset.train) + len(dataset.test) == 120
    assert dataset.classes == ("1", "2")
    assert any("first line is taken for data" in note for note in dataset.notes)
    with pytest.raises(DataError, match="or its number from 1") as caught:
        load(path)
    assert "note" not in str(caught.value)
    with pytest.raises(DataError, match="no column 9"):
        load(path, text="9", label="1")


def test_columns_by_number_under_a_header(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", separated([(n, text) for text, n in TWO], ("mark", "body")))
    dataset = load(path, text="2", label="1")
    assert dataset.classes == ("0", "1")
    assert any("--header no" in note for note in dataset.notes)
    assert load(path, text="2", label="1", header="yes").sha256 == dataset.sha256
    with pytest.raises(DataError, match="too few examples"):
        load(path, text="2", label="1", header="no")


def test_nameless_columns_and_latin_1(tmp_path: Path) -> None:
    lines = [f'{("ham", "spam")[label]},"{text} café",,,' for text, label in TWO]
    path = put(tmp_path / "a.csv", "\n".join(["v1,v2,,,", *lines]), "latin-1")
    assert load(path, text="v2", label="v1").classes == ("ham", "spam")


def test_a_class_that_never_occurs_keeps_its_name(tmp_path: Path) -> None:
    body = {"text": [text for text, _ in TWO], "label": [2 * label for _, label in TWO]}
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(body), tmp_path / "data" / "train-0.parquet")
    put(
        tmp_path / "README.md",
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n"
        "    dtype:\n      class_label:\n        names:\n          '0': neg\n          '1': so\n"
        "          '2': pos\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        "    path: data/train-*\n---\n",
    )
    dataset = load(f"hub:{tmp_path}")
    assert dataset.classes == ("neg", "so", "pos")
    assert any("1 class(es): so" in note for note in dataset.notes)


def test_configurations_are_named(tmp_path: Path) -> None:
    for name in ("emotion", "irony"):
        put(tmp_path / "two" / name / "train.csv", separated(TWO))
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/train.csv\n"
        for name in ("emotion", "irony")
    )
    put(tmp_path / "two" / "README.md", f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(DataError, match="emotion, irony"):
        load(f"hub:{tmp_path / 'two'}")
    assert load(f"hub:{tmp_path / 'two'}:irony").classes == ("0", "1")


@pytest.mark.parametrize("hidden", [True, False])
def test_a_test_split_of_hidden_labels(tmp_path: Path, hidden: bool) -> None:
    put(tmp_path / "train.jsonl", json_lines([{"text": t, "label": n} for t, n in TWO]))
    other = rows(20, 20, seed=9)
    for name in ("validation", "test"):
        body = [{"text": f"{name} {t}", "label": -1 if hidden and name == "test" else n}
                for t, n in other]  # fmt: skip
        put(tmp_path / f"{name}.jsonl", json_lines(body))
    dataset = load(tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (120, 40)
    assert any("hidden" in note for note in dataset.notes) == hidden
    assert any("not read" in note for note in dataset.notes) != hidden


def test_folders_by_class(tmp_path: Path) -> None:
    for n, (text, label) in enumerate(TWO):
        put(tmp_path / ("alt.atheism", "sci.space")[label] / f"{51060 + n}", text)
    dataset = load(tmp_path)
    assert dataset.classes == ("alt.atheism", "sci.space")
    assert len(dataset.train) + len(dataset.test) == 120
    with pytest.raises(DataError, match="leave out --text-column"):
        load(tmp_path, text="body")


def test_the_natural_partition(tmp_path: Path) -> None:
    from fedseed.config import RunConfig
    from fedseed.runs.plan import make_plan

    body = [(f"user{n % 7}", text, label) for n, (text, label) in enumerate(TWO)]
    path = put(tmp_path / "a.csv", separated(body, ("user", "text", "label")))
    options = {"data": str(path), "partition": "natural", "by": "user", "max_length": 32,
               "recipe": str(put(tmp_path / "r.toml", "max_length = 32\n"))}  # fmt: skip
    plan = make_plan(RunConfig.parse(options))
    dataset, parts = plan.federated.dataset, plan.federated.parts
    assert (plan.config.clients, len(parts)) == (5, 7)
    assert dataset.groups is not None
    assert sorted(len(set(dataset.groups[part])) for part in parts) == [1] * 7
    assert sum(len(part) for part in parts) == len(dataset.train)
    assert make_plan(RunConfig.parse(options | {"clients": 3})).config.clients == 3
    with pytest.raises(DataError, match="--by makes 7 clients"):
        make_plan(RunConfig.parse(options | {"clients": 6}))


def test_no_client_is_left_without_a_text_of_its_own(tmp_path: Path) -> None:
    from fedseed.data.natural import natural_partition
    from fedseed.randomness import generator

    body = [(f"user{n % 7}", text, label) for n, (text, label) in enumerate(TWO)]
    path = put(tmp_path / "a.csv", separated(body, ("user", "text", "label")))
    dataset = load(path, group="user")
    assert dataset.groups is not None
    private = dataset.train[dataset.groups[dataset.train] != 3]  # all texts of one are public
    split = natural_partition(dataset, private, 6, generator(0, "partition"))
    assert sorted(np.concatenate(split.parts)) == sorted(private)
    with pytest.raises(DataError, match="makes 6 clients with examples to train on, not 7"):
        natural_partition(dataset, private, 7, generator(0, "partition"))


def test_a_row_that_says_not_whose_it_is(tmp_path: Path) -> None:
    body = [("" if n == 30 else f"user{n % 7}", t, label) for n, (t, label) in enumerate(TWO)]
    path = put(tmp_path / "a.csv", separated(body, ("user", "text", "label")))
    with pytest.raises(DataError, match="data row 31 does not say whose it is"):
        load(path, group="user")


def test_one_column_is_not_text_and_label(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give two columns"):
        load(put(tmp_path / "a.csv", separated(TWO)), text="label", label="label")


def test_the_bundled_sentences() -> None:
    dataset = load("bundled:sentences")
    assert dataset.classes == ("negative", "positive")
    assert 8_000 < len(dataset.train) + len(dataset.test) <= 8_530


def test_the_plan_as_json(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = put(tmp_path / "a.csv", separated([*TWO, TWO[0], ("", 1)], delimiter=";"))
    command = [sys.executable, str(Path(__file__).parents[2] / "simulations" / "run_fed.py")]
    options = ["--data", str(path), "--clients", "3", "--dry-run", "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    plan = json.loads(done.stdout)
    dataset = plan["dataset"]
    assert (dataset["train"], dataset["test"], dataset["classes"]) == (96, 24, ["0", "1"])
    assert dataset["class_counts"] == {"train": [48, 48], "test": [12, 12]}
    assert (dataset["duplicates_dropped"], dataset["empty_dropped"]) == (1, 1)
    assert "separated by semicolon" in dataset["notes"]
    assert sum(plan["clients"]) == 96
    assert plan["payload_estimate"]["up"] > 0


def test_a_first_line_that_other_quotes_shorten(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'x\\,text,label\n1,"w" v,0\n2,"w" u,1\n')
    with pytest.raises(DataError, match="row 2 "):
        load(path)
