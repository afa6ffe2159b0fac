"""Duplicates go first; the test split is fixed, stratified, and never trained on."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset, open_federated_dataset, subset
from fedseed.data.sources import open_source
from fedseed.data.splits import Split, SplitRules, fold, split, text_digests
from fedseed.data.tokens import TokenTable, load_dataset
from fedseed.errors import DataError, OutputError
from fedseed.models.published import tokenizer_file


def split_texts(
    lines: list[str], labels: list[int], official: list[bool] | None = None, drop_rare: int = 0
) -> Split:
    """The split of some texts, of which those that differ in white space are duplicates."""
    tests = None if official is None else np.array(official)
    return split(text_digests(lines), np.array(labels), tests, rules=SplitRules(drop_rare))


def test_duplicates_are_dropped_before_splitting() -> None:
    lines = [f"text {n}" for n in range(100)] + [f" text \t{n}\n" for n in range(30)]
    parts = split_texts(lines, [n % 2 for n in range(130)])
    assert parts.duplicates_dropped == 30
    assert parts.conflicts == 0
    assert len(parts.train) + len(parts.test) == len(parts.kept) == 100
    assert not set(parts.train) & set(parts.test)


def test_stratified_and_fixed() -> None:
    labels = [0] * 70 + [1] * 20 + [2] * 10
    lines = [f"t{n}" for n in range(100)]
    parts = split_texts(lines, labels)
    assert np.bincount(np.asarray(labels)[parts.test]).tolist() == [14, 4, 2]
    assert np.array_equal(parts.test, split_texts(lines, labels).test)


def test_the_official_test_split_keeps_a_text_that_stands_in_both() -> None:
    lines = ["a", "b", "c", "a ", "d"]
    parts = split_texts(lines, [1, 1, 0, 0, 1], [False] * 3 + [True] * 2)
    assert parts.duplicates_dropped == 1
    assert parts.conflicts == 1
    assert [lines[parts.kept[row]] for row in parts.test] == ["a ", "d"]
    assert [lines[parts.kept[row]] for row in parts.train] == ["b", "c"]


def test_a_one_class_test_split_is_refused() -> None:
    official = [n >= 6 for n in range(10)]
    with pytest.raises(DataError, match=r"test split .* 1 class"):
        split_texts([f"t{n}" for n in range(10)], [0, 1, 0, 1, 0, 1, 1, 1, 1, 1], official)


def test_a_class_too_small_to_be_tested() -> None:
    lines, labels = [f"t{n}" for n in range(42)], [0] * 20 + [1] * 20 + [2] * 2
    with pytest.raises(DataError, match="--drop-rare 3"):
        split_texts(lines, labels)
    parts = split_texts(lines, labels, drop_rare=3)
    assert parts.rare == (2,)
    assert len(parts.kept) == 40


@pytest.mark.parametrize(
    ("labels", "official", "drop_rare", "says"),
    [
        (list(range(20)), None, 0, "none of the 20 classes has more than 1 example"),
        ([0, 1] * 10, None, 1000, "no class has 1,000 examples, the largest has 10"),
        ([0, 1] * 5 + [2, 3] * 5, [False] * 10 + [True] * 10, 0, "write the labels of both alike"),
    ],
)
def test_labels_that_cannot_be_classes(
    labels: list[int], official: list[bool] | None, drop_rare: int, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        split_texts([f"t{n}" for n in range(20)], labels, official, drop_rare)


def test_conflicts_are_counted() -> None:
    lines = [f"t{n}" for n in range(20)] * 3
    labels = [n % 2 for n in range(20)] * 2 + [(n + 1) % 2 for n in range(20)]
    parts = split_texts(lines, labels)
    assert (parts.duplicates_dropped, parts.conflicts) == (40, 20)
    assert parts.kept.tolist() == list(range(20))


def test_no_test_text_reaches_training(small: dict[str, Any], reviews: Path) -> None:
    source = open_source(str(reviews)).read()
    config = RunConfig.parse(small)
    federated = open_federated_dataset(config)
    kept = federated.dataset.kept
    assert kept is not None
    test = {fold(source.texts[kept[row]]) for row in federated.dataset.test}
    for pid in range(config.clients + config.newcomers):
        private = {fold(source.texts[kept[row]]) for row in federated.shard(pid).whole()}
        assert private
        assert not private & test


def test_the_test_split_is_independent_of_the_run_seed(small: dict[str, Any]) -> None:
    first = open_federated_dataset(RunConfig.parse(small | {"run_seed": 1}))
    second = open_federated_dataset(RunConfig.parse(small | {"run_seed": 2}))
    assert np.array_equal(first.test_rows(), second.test_rows())
    assert np.array_equal(first.test_rows(0), second.test_rows(1))
    assert not np.array_equal(first.parts[0], second.parts[0])


def test_shards_hold_their_validation_back(small: dict[str, Any]) -> None:
    shard = open_federated_dataset(RunConfig.parse(small)).shard(0)
    assert len(shard.validation) == round(0.2 * len(shard.whole()))
    assert not set(shard.train) & set(shard.validation)


def test_subsets_are_fixed_and_stratified(small: dict[str, Any]) -> None:
    dataset = open_dataset(RunConfig.parse(small))
    chosen = subset(dataset, dataset.test, 20)
    assert np.bincount(dataset.table.labels[chosen]).tolist() == [10, 10]
    assert np.array_equal(chosen, subset(dataset, dataset.test, 20))
    assert np.array_equal(subset(dataset, dataset.test, None), dataset.test)


def test_padding_keeps_the_last_token() -> None:
    table = TokenTable(
        np.array([1, 5, 6, 7, 2, 1, 8, 2], dtype=np.uint16), np.array([0, 5, 8]), np.array([0, 1])
    )
    ids, lengths = table.padded(np.array([1, 0]), 4)
    assert ids.tolist() == [[1, 8, 2, 0], [1, 5, 6, 2]]
    assert lengths.tolist() == [3, 4]


def test_a_second_start_reads_no_text(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(reviews))
    first = load_dataset(source, tokenizer_file("bert-tiny"), 12)

    def fail(*_: object) -> None:
        raise AssertionError("the cache was not used")

    monkeypatch.setattr("fedseed.data.tokens._fill", fail)
    second = load_dataset(source, tokenizer_file("bert-tiny"), 12)
    assert isinstance(second.table.tokens, np.memmap)
    assert first.sha256 == second.sha256
    assert np.array_equal(first.table.tokens, second.table.tokens)


def _open(data: str, length: int) -> None:
    load_dataset(open_source(data), tokenizer_file("bert-tiny"), length)


def test_two_processes_fill_the_cache_at_once(reviews: Path, cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_open, args=(str(reviews), 9)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert not [path.name for path in (cache / "tokens").iterdir() if path.name.startswith(".")]


def test_a_cache_that_cannot_be_written(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FEDSEED_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="FEDSEED_CACHE"):
        _open(str(reviews), 10)
