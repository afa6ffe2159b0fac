"""Token counts: what a linear model sees of a text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, frequency_order

Matrix = Any
"""A scipy matrix in compressed rows."""


def mean_counts(table: TokenTable, rows: Rows, max_length: int) -> Matrix:
    """How often each token stands in each text, divided by the text's tokens.

    Args:
        table: tokenised texts.
        rows: the texts.
        max_length: tokens kept of each, [CLS] and [SEP] included: of a longer text the first
            ones, and its last, as :meth:`TokenTable.padded` gives them to a model.

    Returns:
        Shape ``(texts, VOCABULARY)``, float32. Tokens that can have no weight are left out, but
        they count in the divisor.
    """
    from scipy.sparse import csr_matrix

    offsets, lengths = np.asarray(table.offsets), text_lengths(table, rows, max_length)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], lengths)
    places[ends[1:][lengths > 0] - 1] = (offsets[rows + 1] - 1)[lengths > 0]  # [SEP] of a cut text
    tokens = np.asarray(table.tokens)[places].astype(np.int32)
    values = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
    matrix = csr_matrix((values, tokens, ends), shape=(len(rows), VOCABULARY))
    matrix.sum_duplicates()
    matrix.data[~_may_count()[matrix.indices]] = 0
    matrix.eliminate_zeros()
    return matrix


def text_lengths(table: TokenTable, rows: Rows, max_length: int) -> Rows:
    """Tokens of each text, of which at most ``max_length`` are kept."""
    offsets = np.asarray(table.offsets)
    return np.asarray(np.minimum(offsets[rows + 1] - offsets[rows], max_length), dtype=np.int64)


def _may_count() -> NDArray[np.bool_]:
    allowed = np.zeros(VOCABULARY, dtype=bool)
    allowed[frequency_order()] = True
    return allowed
