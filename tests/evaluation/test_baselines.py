"""Baselines learn what is there, from training rows alone, on what the model is given."""

from pathlib import Path

import numpy as np
import pytest

from fedseed.data.sources import open_source
from fedseed.data.tokens import Dataset, load_dataset
from fedseed.evaluation import baselines
from fedseed.evaluation.baselines import find_baselines
from fedseed.models.published import tokenizer_file

LENGTH = 4
Measured = tuple[Dataset, dict[str, dict[str, float]]]


@pytest.fixture(scope="module")
def measured(reviews: Path) -> Measured:
    source, tokenizer = open_source(str(reviews)), tokenizer_file("bert-tiny")
    dataset = load_dataset(source, tokenizer, LENGTH)
    return dataset, find_baselines(dataset, source, tokenizer, LENGTH, dataset.test)


def test_whole_texts_give_the_label_away(measured: Measured) -> None:
    dataset, values = measured
    assert values["tfidf_full"]["value"] == 1.0
    assert values["tfidf_bigrams_full"]["value"] > 0.95
    assert values["majority"]["value"] == values["majority"]["majority_baseline"] == 0.5
    assert all(value["n"] == len(dataset.test) for value in values.values())


def test_the_part_that_the_model_sees_says_less(measured: Measured) -> None:
    _, values = measured
    assert 0.5 <= values[f"tfidf_{LENGTH}_tokens"]["value"] < 0.95


def test_texts_are_cut_where_the_model_cuts_them(reviews: Path) -> None:
    texts = ["one two three four five", "one"]
    cut = baselines._cut(texts, np.array([0, 1]), tokenizer_file("bert-tiny"), LENGTH)
    assert cut == ["one two", "one"]


def test_kept_in_the_cache(
    reviews: Path, monkeypatch: pytest.MonkeyPatch, measured: Measured
) -> None:
    source, tokenizer = open_source(str(reviews)), tokenizer_file("bert-tiny")
    dataset = load_dataset(source, tokenizer, LENGTH)
    monkeypatch.setattr(baselines, "_measure", lambda *_: pytest.fail("measured again"))
    assert find_baselines(dataset, source, tokenizer, LENGTH, dataset.test) == measured[1]


def test_a_baseline_that_cannot_be_had_is_left_out(
    reviews: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No word stands in two texts: scikit-learn refuses, and the run goes on without."""
    path = tmp_path / "unique.csv"
    lines = [f"word{n}a word{n}b,{'good' if n % 2 else 'bad'}" for n in range(40)]
    path.write_text("text,label\n" + "\n".join(lines))
    source, tokenizer = open_source(str(path)), tokenizer_file("bert-tiny")
    dataset = load_dataset(source, tokenizer, LENGTH)
    accuracies = find_baselines(dataset, source, tokenizer, LENGTH, dataset.test)
    assert "majority" in accuracies
    assert "tfidf_full" not in accuracies
