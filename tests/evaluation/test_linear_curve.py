"""Linear models of equal bytes: within their bytes, better with more, kept, and read by size."""

from pathlib import Path

import numpy as np
import pytest

from fedseed.data.sources import open_source
from fedseed.data.tokens import Dataset, load_dataset
from fedseed.evaluation import linear_curve
from fedseed.evaluation.kept import kept
from fedseed.evaluation.linear_curve import SIZES, at_most, hashed_curves, lexicon_curve
from fedseed.linear.counts import mean_counts
from fedseed.linear.extraction import training_counts
from fedseed.linear.hashed import hashed_models
from fedseed.linear.selection import LabelledCounts
from fedseed.models.published import tokenizer_file
from tests.topics import write_topics


@pytest.fixture(scope="module")
def two(reviews: Path) -> Dataset:
    return load_dataset(open_source(str(reviews)), tokenizer_file("bert-tiny"), 32)


def test_sizes_are_from_64_bytes_to_64_kb() -> None:
    assert (SIZES[:4], SIZES[-1]) == ((64, 96, 128, 192), 65536)
    assert list(SIZES) == sorted(set(SIZES))


def test_lexicons_fit_and_know(two: Dataset) -> None:
    curve = lexicon_curve(two, 32, two.test, (32, 96, 4096, 8192))
    assert [point["bytes"] for point in curve] == [32, 96, 4096, 8192]
    assert all(point["n"] == len(two.test) for point in curve)
    assert curve[0]["words"] <= curve[-1]["words"]
    assert curve[-1]["value"] > 0.95
    assert curve[-1]["words"] == curve[-2]["words"]  # all that there are


@pytest.mark.parametrize("classes", [2, 12])
def test_hashed_models_fit_and_know(two: Dataset, tmp_path: Path, classes: int) -> None:
    data = two
    if classes > 2:
        path = write_topics(tmp_path / "topics.csv", classes, 360)
        data = load_dataset(open_source(str(path)), tokenizer_file("bert-tiny"), 32)
    test = LabelledCounts(
        mean_counts(data.table, data.test, 32), data.table.labels[data.test], data.labels
    )  # fmt: skip
    majority = np.bincount(test.labels).max() / len(test.labels)
    for estimate in ("logistic", "counts"):
        models = list(hashed_models(training_counts(data, 32), estimate))
        sizes = [model.bytes for model in models]
        right = [(model.answers(test.counts) == test.labels).mean() for model in models]
        assert 0 < min(sizes) < max(sizes)
        assert right[-1] > min(0.9, majority + 0.4)
    points = hashed_curves(data, 32, data.test, (64, 4096))
    assert {point["model"] for point in points} == {"hashed logistic", "hashed counts"}
    assert all(point["n"] == len(data.test) for point in points)


def test_the_largest_that_is_at_most_so_long() -> None:
    curve = [{"model": "lexicon", "bytes": size} for size in (64, 128, 256)]
    curve += [{"model": "hashed counts", "bytes": 200}]
    assert at_most(curve, 255) == curve[1]
    assert at_most(curve, 1e9) == curve[2]
    assert at_most(curve, 63) is None
    assert at_most([], 100) is None


def test_no_lexicon_is_so_short(two: Dataset) -> None:
    assert lexicon_curve(two, 32, two.test, (8,)) == []


def test_a_measurement_is_made_once(two: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lexicon_curve(two, 16, two.test, (128,))

    def fails(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(linear_curve, "Extraction", fails)
    assert lexicon_curve(two, 16, two.test, (128,)) == first
    with pytest.raises(AssertionError):
        lexicon_curve(two, 15, two.test, (128,))


def test_a_damaged_measurement_is_made_again(cache: Path) -> None:
    assert kept("kept", ["a"], lambda: [1]) == [1]
    (path,) = (cache / "kept").iterdir()
    path.write_text("{")
    assert kept("kept", ["a"], lambda: [2]) == [2]
    assert kept("kept", ["a"], lambda: [3]) == [2]
