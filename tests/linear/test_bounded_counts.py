"""What one text changes in counts is bounded, and noise is known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from fedseed.linear.bounded_counts import (
    BESIDE_WORDS,
    bounded,
    from_numbers,
    round_lengths,
    texts_within,
    to_numbers,
)
from fedseed.linear.class_counts import ClassCounts
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, frequency_order

ORDER = frequency_order()


def texts_of(words: list[set[int]]) -> Any:
    """Counts of texts that have these places in the order of frequency."""
    rows = np.repeat(np.arange(len(words)), [len(text) for text in words])
    columns = ORDER[[place for text in words for place in sorted(text)]]
    shape = len(words), VOCABULARY
    return csr_matrix((np.full(len(rows), 0.5), (rows, columns)), shape)


def numbers_of(words: list[set[int]], labels: list[int], most: int, leave_out: int) -> Any:
    few = bounded(texts_of(words), ORDER, leave_out, most)
    lengths = round_lengths(np.full(len(words), 7), 16, np.random.default_rng(0))
    return to_numbers(ClassCounts.of(few, lengths, np.array(labels), 3), ORDER)


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(st.sets(st.integers(0, 60), min_size=1, max_size=40), min_size=1, max_size=6),
    most=st.integers(1, 20), leave_out=st.integers(0, 50), data=st.data(),
)  # fmt: skip
def test_a_text_changes_few_numbers_by_one(
    words: list[set[int]], most: int, leave_out: int, data: st.DataObject
) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(words), max_size=len(words)))
    whole = numbers_of(words, labels, most, leave_out)
    without = numbers_of(words[:-1], labels[:-1], most, leave_out) if words[1:] else 0 * whole
    change = whole - without  # lengths are drawn text by text, in order
    assert set(np.unique(change)) <= {0, 1}
    assert change.sum() <= most + BESIDE_WORDS


def test_the_rarest_words_of_a_text_are_kept() -> None:
    few = bounded(texts_of([{1, 5, 9, 30}, {2, 8}, {0, 1}]), ORDER, 2, 2)
    kept = [set(few[text].indices) for text in range(3)]
    assert kept == [set(ORDER[[9, 30]]), set(ORDER[[2, 8]]), set()]


def test_lengths_are_right_on_average() -> None:
    rounded = round_lengths(np.full(20_000, 128), 512, np.random.default_rng(1))
    assert set(np.unique(rounded)) == {0, 1}
    assert rounded.mean() == pytest.approx(0.25, abs=0.01)


def test_numbers_and_counts_are_the_same() -> None:
    counts = ClassCounts.none(2)
    counts.present[1, ORDER[5]] = 3
    counts = ClassCounts(np.array([4, 5]), np.array([6, 7]), counts.present)
    again = from_numbers(to_numbers(counts, ORDER), 2, ORDER, 9.0)
    assert np.array_equal(again.present, counts.present)
    assert (again.texts.tolist(), again.tokens.tolist(), again.noise) == ([4, 5], [6, 7], 9.0)


def test_words_that_noise_could_have_made_get_no_weight() -> None:
    """Of two words with the same counts, noise takes the weight of the one that it could make."""
    present = np.zeros((2, VOCABULARY), np.int64)
    present[:, ORDER[300]] = 400, 100
    present[:, ORDER[301]] = 20, 2
    texts, tokens = np.array([1000, 1000]), np.array([100_000, 100_000])
    exact = ClassCounts(texts, tokens, present).model().weights[:, 0]
    noisy = ClassCounts(texts, tokens, present, 100.0).model().weights[:, 0]
    assert exact[ORDER[301]] < exact[ORDER[300]] < 0
    assert noisy[ORDER[301]] == 0
    assert noisy[ORDER[300]] < 0.9 * exact[ORDER[300]]


@pytest.mark.parametrize("norm", [1.0, 4.0, 7.5, 1000.0])
def test_a_client_s_counts_stay_within_a_norm(norm: float) -> None:
    rng = np.random.default_rng(6)
    counts = texts_of([set(rng.integers(0, 30, 9).tolist()) for _ in range(40)])
    labels, lengths = rng.integers(0, 3, 40), rng.integers(0, 2, 40)
    kept = texts_within(counts, lengths, labels, norm, rng)
    few = ClassCounts.of(counts[kept], lengths[kept], labels[kept], 3)
    assert np.linalg.norm(to_numbers(few, ORDER)) <= norm
    assert len(kept) == {1.0: 0, 1000.0: 40}.get(norm, len(kept))
    assert sorted(set(kept)) == kept.tolist()
    if norm == 7.5:
        assert len(kept) > 2
