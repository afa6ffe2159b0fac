"""Attacks on counts of words: by hand, on sums, and under noise."""

from typing import Any

import numpy as np
import pytest

from fedseed.attacks.roc import roc_of
from fedseed.attacks.word_counts import Known, count_signals, named_words
from fedseed.data.tokens import TokenTable
from fedseed.linear.seen_counts import SeenCounts

WORDS = np.arange(2000, 2400)
TEXTS, LONG = 200, 30


@pytest.fixture(scope="module")
def known() -> Known:
    """Texts of random words, two classes in turn."""
    rng = np.random.default_rng(0)
    tokens = rng.choice(WORDS, (TEXTS, LONG)).astype(np.int32)
    offsets = np.arange(TEXTS + 1) * LONG
    table = TokenTable(tokens.ravel(), offsets, np.arange(TEXTS) % 2)
    return Known.of(table, np.arange(TEXTS), LONG)


def counted(known: Known, held: Any, noise: float = 0.0, seed: int = 0) -> SeenCounts:
    """What somebody with some of the texts counts."""
    present = np.asarray(known.present[:, WORDS].todense(), np.int64)
    by_class = [held[known.labels[held] == label] for label in range(2)]
    counts = np.array([present[rows].sum(axis=0) for rows in by_class])
    drawn = np.random.default_rng(seed).normal(0, noise, counts.shape).round().astype(np.int64)
    return SeenCounts(WORDS, counts + drawn, np.array([len(rows) for rows in by_class]), noise)


def auc(known: Known, seen: SeenCounts, members: Any) -> float:
    scores = count_signals(seen, known)
    others = np.setdiff1d(np.arange(TEXTS), members)
    return roc_of(scores[members], scores[others]).auc


def test_a_word_that_nobody_counted_clears_a_text(known: Known) -> None:
    members = np.arange(20)
    assert auc(known, counted(known, members), members) > 0.99
    scores = count_signals(counted(known, members), known)
    assert scores[members].min() > -25  # no word of a member is missing


def test_sums_and_noise_hide(known: Known) -> None:
    first, second = np.arange(20), np.arange(20, 120)
    alone = counted(known, first)
    both = alone.plus(counted(known, second))
    assert both.texts.tolist() == [60, 60]
    assert (both.counts == counted(known, np.arange(120)).counts).all()
    hidden = counted(known, first, noise=20.0)
    found = [auc(known, seen, first) for seen in (alone, counted(known, first, 1.0), hidden)]
    assert found[0] > found[1] > found[2]
    assert abs(found[2] - 0.5) < 0.15


def test_words_are_named_where_they_stand_out_of_noise(known: Known) -> None:
    exact = counted(known, np.arange(4))
    assert set(named_words(exact)) == set(WORDS[exact.counts.any(axis=0)])
    assert len(named_words(counted(known, np.arange(4), noise=5.0))) <= 2
    loud = SeenCounts(WORDS, np.zeros((2, len(WORDS)), np.int64), np.ones(2, np.int64), 1.0)
    loud.counts[0, 7] = 40
    assert named_words(loud).tolist() == [WORDS[7]]
    assert exact.plus(loud).noise == 1.0
