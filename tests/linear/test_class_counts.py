"""Counts by class: sums over clients, naive Bayes of them, and buckets that words share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from fedseed.linear.buckets import collapse, names, representatives, spread
from fedseed.linear.class_counts import ClassCounts
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, frequency_order

GOOD, BAD, SAID, NEVER = 2204, 2919, 2056, 3000


def texts_of(words: list[list[int]]) -> csr_matrix:
    dense = np.zeros((len(words), VOCABULARY))
    for row, found in enumerate(words):
        dense[row, found] = 1 / 8
    return csr_matrix(dense)


@pytest.fixture
def reviews() -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    words = [
        [SAID] * (rng.random() < 0.5)
        + [GOOD] * (rng.random() < (0.3 if label else 0.1))
        + [BAD] * (rng.random() < (0.05 if label else 0.3))
        for label in labels
    ]
    return texts_of(words), labels


def count(counts: csr_matrix, labels: np.ndarray, classes: int = 2) -> ClassCounts:
    return ClassCounts.of(counts, np.full(len(labels), 8), labels, classes)


def test_texts_are_counted_by_class() -> None:
    counted = count(texts_of([[GOOD, SAID], [GOOD], [BAD]]), np.array([1, 1, 0]), 3)
    assert counted.texts.tolist() == [1, 2, 0]
    assert counted.tokens.tolist() == [8, 16, 0]
    assert counted.present[:, [GOOD, BAD, SAID]].tolist() == [[0, 1, 0], [2, 0, 1], [0, 0, 0]]
    assert counted.present.sum() == 4


@pytest.mark.parametrize("skewed", [True, False])
def test_sums_do_not_depend_on_who_has_which_texts(
    reviews: tuple[csr_matrix, np.ndarray], skewed: bool
) -> None:
    counts, labels = reviews
    owner = labels if skewed else np.arange(len(labels)) % 3
    total = ClassCounts.none(2)
    for one in np.unique(owner):
        total += count(counts[owner == one], labels[owner == one])
    alone = count(counts, labels)
    assert np.array_equal(total.present, alone.present)
    assert np.array_equal(total.model().weights, alone.model().weights)


def test_weights_are_what_words_say(reviews: tuple[csr_matrix, np.ndarray]) -> None:
    counts, labels = reviews
    model = count(counts, labels).model()
    weights = model.weights[:, 0]
    assert weights[BAD] < 0 < weights[GOOD]
    assert abs(weights[BAD]) > abs(weights[GOOD])
    assert abs(weights[SAID]) < 0.2 * abs(weights[GOOD])
    assert not weights[NEVER]
    likely = [(counts[labels == one].getnnz(axis=0)[GOOD] + 0.5) / 201 for one in (0, 1)]
    assert 0 < weights[GOOD] <= np.log(likely[1] / likely[0]) * 8  # shrunk, never grown
    assert (model.answers(counts) == labels).mean() > 0.6


def test_a_rare_class_is_not_said_to_have_every_word() -> None:
    """Ten texts of one class among a thousand of the other, words at random."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [1000, 10])
    words = [[2000 + int(word) for word in rng.integers(0, 300, 3)] for _ in labels]
    words[0].append(GOOD)  # stands once, where most texts are
    weights = count(texts_of(words), labels).model().weights[:, 0]
    assert weights[GOOD] < 5
    assert not weights[NEVER]
    assert (weights > 0).sum() < 4 * (weights < 0).sum() + 50


def test_collapsing_leaves_its_argument() -> None:
    order = frequency_order()
    rare = order[representatives(64)[order] == order[50]][:3]
    counts = texts_of([[int(word) for word in rare]])
    before = counts.toarray()
    assert collapse(counts, 64).nnz == 1
    assert np.array_equal(counts.toarray(), before)


def test_many_classes_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(5), 40)
    words = [[2000 + int(label)] * (rng.random() < 0.8) + [SAID] for label in labels]
    model = count(texts_of(words), labels, 6).model()  # class 5 never occurs
    answers = model.answers(texts_of(words))
    assert (answers == labels).mean() > 0.8
    assert not (answers == 5).any()
    assert not model.weights[:, 5].any()


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_one_class_says_nothing(labels: list[int]) -> None:
    model = count(texts_of([[GOOD], [BAD]]), np.array(labels)).model()
    assert not model.weights.any()


@pytest.mark.parametrize("buckets", [16, 100, 8192])
def test_buckets(buckets: int) -> None:
    named, order = representatives(buckets), frequency_order()
    head = order[: buckets // 2]
    assert np.array_equal(named[head], head)
    assert set(named[order]) == set(names(buckets))
    shared = np.bincount(named[order[buckets // 2 :]], minlength=VOCABULARY)[names(buckets)]
    assert shared[: buckets // 2].sum() == 0
    rest = shared[buckets // 2 :]
    assert rest.min() > 0.2 * rest.mean()
    assert rest.max() < 4 * rest.mean()


@given(st.integers(16, 29_000))
def test_all_words_have_a_bucket(buckets: int) -> None:
    assert np.isin(representatives(buckets)[frequency_order()], names(buckets)).all()


def test_words_of_a_bucket_share_its_weight() -> None:
    order = frequency_order()
    rare = order[representatives(64)[order] == order[50]]
    assert len(rare) > 10
    counts = texts_of([[int(rare[0]), int(rare[1])], [int(order[3])]])
    merged = collapse(counts, 64)
    assert merged[0, order[50]] == 2 / 8
    assert merged[1, order[3]] == 1 / 8
    weights = np.zeros((VOCABULARY, 1))
    weights[order[50]] = 7.0
    assert set(np.flatnonzero(spread(weights, 64))) == set(rare)
    assert collapse(counts, 0) is counts


def test_a_whole_vocabulary_shares_nothing() -> None:
    assert np.array_equal(representatives(0), np.arange(VOCABULARY))
    assert np.array_equal(names(0), frequency_order())
