"""Lexicons of labelled texts: in so many bytes, and as good as they can be."""

from pathlib import Path

import numpy as np
import pytest

from fedseed.data.sources import open_source
from fedseed.data.tokens import Dataset, load_dataset
from fedseed.errors import SeedError
from fedseed.linear.counts import mean_counts
from fedseed.linear.extraction import Extraction
from fedseed.linear.lexicon import as_model, quantise
from fedseed.linear.selection import LabelledCounts, Selection
from fedseed.linear.token_weights import fit_weights
from fedseed.models.published import tokenizer_file
from fedseed.seeds.kinds.lexicon.coding import encode_lexicon
from tests.topics import write_topics


def counted(dataset: Dataset, rows: np.ndarray) -> LabelledCounts:
    counts = mean_counts(dataset.table, rows, 32)
    return LabelledCounts(counts, dataset.table.labels[rows], dataset.labels)


@pytest.fixture(scope="module")
def two(reviews: Path) -> Dataset:
    return load_dataset(open_source(str(reviews)), tokenizer_file("bert-tiny"), 32)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = write_topics(tmp_path_factory.mktemp("linear") / "topics.csv", 12, 360)
    return load_dataset(open_source(str(path)), tokenizer_file("bert-tiny"), 32)


@pytest.mark.parametrize("name", ["two", "many"])
def test_few_bytes_hold_what_the_texts_say(name: str, request: pytest.FixtureRequest) -> None:
    dataset: Dataset = request.getfixturevalue(name)
    train, test = counted(dataset, dataset.train), counted(dataset, dataset.test)
    lexicon = Extraction(train).lexicon(300)
    assert len(encode_lexicon(lexicon)) <= 300
    assert (as_model(lexicon).answers(test.counts) == test.labels).mean() > 0.95
    again = Extraction(train).lexicon(300)
    assert encode_lexicon(again) == encode_lexicon(lexicon)


@pytest.mark.parametrize("most", [40, 60, 100, 200])
def test_it_fits_whatever_is_asked(two: Dataset, most: int) -> None:
    assert len(encode_lexicon(Extraction(counted(two, two.train)).lexicon(most))) <= most


def test_words_and_levels_can_be_given(two: Dataset) -> None:
    lexicon = Extraction(counted(two, two.train)).lexicon(400, words=7, levels=3)
    assert len(lexicon.tokens) <= 7
    assert int(np.abs(lexicon.levels).max()) == 3


def test_no_lexicon_fits(two: Dataset) -> None:
    with pytest.raises(SeedError, match="no lexicon of these texts has 12 bytes: give more"):
        Extraction(counted(two, two.train)).lexicon(12)


@pytest.mark.parametrize("rows", [[0], [0, 1, 2], [0, 2, 4, 6, 8, 10]])
def test_too_few_texts(two: Dataset, rows: list[int]) -> None:
    train = counted(two, two.train)
    chosen = np.flatnonzero(train.labels == 0)[rows]
    with pytest.raises(SeedError, match="give more of each class"):
        Extraction(train.part(chosen)).lexicon(400)


def test_more_levels_are_closer(many: Dataset) -> None:
    train = counted(many, many.train)
    selection = Selection(train)
    tokens, _ = selection.best(100)
    model = train.fit(tokens)
    errors = []
    for levels in (1, 3, 10, 100):
        lexicon = quantise(model, tokens, levels, 0.25, selection.deviations, train.mean())
        missed = as_model(lexicon).scores(train.counts) - model.scores(train.counts)
        assert abs(missed.mean()) < 1e-3  # the mean score stays
        errors.append(float(np.square(missed).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 100


def test_classes_that_no_text_has(many: Dataset) -> None:
    train = counted(many, many.train)
    for present in ([3], [3, 7], [3, 5, 7]):
        rows = np.flatnonzero(np.isin(train.labels, present))
        part = train.part(rows)
        model = fit_weights(part.counts, part.labels, 12)
        assert set(model.answers(part.counts)) <= set(present)
        assert (model.answers(part.counts) == part.labels).mean() > 0.95


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_of_two(two: Dataset, label: int) -> None:
    train = counted(two, two.train)
    part = train.part(np.flatnonzero(train.labels == label))
    assert (fit_weights(part.counts, part.labels, 2).answers(part.counts) == label).all()


def test_selection_keeps_the_words_that_tell(two: Dataset) -> None:
    """The twelve words that give the label away are the most important."""
    from tokenizers import Tokenizer

    from tests.conftest import BAD, GOOD

    tokenizer = Tokenizer.from_file(str(tokenizer_file("bert-tiny")))
    tokens, _ = Selection(counted(two, two.train)).best(12)
    words = {tokenizer.id_to_token(int(token)) for token in tokens}
    assert len(words & {*GOOD, *BAD}) >= 11


def test_a_balanced_mean_and_fit_do_not_look_at_the_mix(two: Dataset) -> None:
    """The same texts of each class, many of one or few: the middle of the classes stays."""
    all_texts = counted(two, two.train)
    first, second = (np.flatnonzero(all_texts.labels == one) for one in (0, 1))
    skewed = all_texts.part(np.concatenate([first, second[: len(second) // 8]]))
    for texts in (all_texts, skewed):
        by_class = [texts.counts[texts.labels == one].mean(axis=0) for one in (0, 1)]
        assert np.allclose(texts.mean(balanced=True), np.asarray(sum(by_class) / 2).ravel())
    fits = [skewed.fit(penalty=1e-3, balanced=balanced) for balanced in (False, True)]
    middle = [abs(fit.scores(all_texts.counts)[:, 0].mean()) for fit in fits]
    assert middle[1] < middle[0]
