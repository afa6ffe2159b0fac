"""Token counts as a linear model sees them."""

import numpy as np
import pytest

from fedseed.data.tokens import TokenTable
from fedseed.linear.counts import mean_counts

TEXTS = [[101, 2000, 2000, 3000, 102], [101, 102], [101, 5, 2500, 102], [101, 2000, 102]]


@pytest.fixture
def table() -> TokenTable:
    offsets = np.cumsum([0, *map(len, TEXTS)])
    return TokenTable(np.concatenate(TEXTS), offsets, np.arange(len(TEXTS)))


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 0], [1]])
@pytest.mark.parametrize("max_length", [4, 512])
def test_counts_are_what_they_should_be(
    table: TokenTable, rows: list[int], max_length: int
) -> None:
    counts = mean_counts(table, np.array(rows), max_length).toarray()
    for number, row in enumerate(rows):
        text = TEXTS[row]
        kept = text if len(text) <= max_length else [*text[: max_length - 1], text[-1]]
        for token in (5, 101, 102):  # no word's
            assert counts[number, token] == 0
        for token in (2000, 2500, 3000):
            assert counts[number, token] == pytest.approx(kept.count(token) / len(kept))
    assert counts.sum() > 0 or rows == [1]


def test_counts_are_of_what_a_model_is_given(table: TokenTable) -> None:
    ids, lengths = table.padded(np.arange(4), 4)
    counts = mean_counts(table, np.arange(4), 4).toarray()
    for number, length in enumerate(lengths):
        kept = ids[number][:length].tolist()
        for token in (2000, 2500, 3000):
            assert counts[number, token] == pytest.approx(kept.count(token) / length)
