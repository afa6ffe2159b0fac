"""Words and positions of one text, matched by the moves of their embedding rows."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
_ROUNDING = float(np.finfo(np.float32).eps)
"""Gradients are computed in fp32: directions weaker than this share of the strongest are noise."""


def match_positions(word_rows: Floats, position_rows: Floats, additive: bool = True) -> Ids:
    """Find the word at each position of one text, by the moves of embedding rows.

    A word that stands at one position has that position's move. Under SGD a repeated word has the
    sum of its positions' moves: what is left over is solved for by least squares, each position
    going to the word of largest coefficient. Under Adam moves do not add up, and the nearest
    word is taken.

    Args:
        word_rows: moves of the rows of words that were used, shape ``(words, features)``.
        position_rows: moves of the positions that were used, shape ``(positions, features)``.
        additive: whether moves are gradients (SGD).

    Returns:
        Shape ``(positions,)``, row numbers of ``word_rows``; -1 where there are no words.
    """
    matches = np.full(len(position_rows), -1, dtype=np.int64)
    if not len(word_rows) or not len(matches):
        return matches
    squares = np.square(word_rows).sum(1) + np.square(position_rows).sum(1)[:, None]
    distances = np.sqrt(np.maximum(squares - 2 * position_rows @ word_rows.T, 0.0))
    nearest = distances.argmin(axis=1)
    mutual = distances.argmin(axis=0)[nearest] == np.arange(len(matches))
    if additive:  # a sum of two positions can be nearest to one of them, but not near it
        size = np.linalg.norm(position_rows, axis=1)
        mutual &= distances[np.arange(len(matches)), nearest] < 0.02 * size
    matches[mutual] = nearest[mutual]
    words = np.setdiff1d(np.arange(len(word_rows)), nearest[mutual])
    positions = np.flatnonzero(~mutual)
    if not len(words) or not len(positions):
        matches[positions] = nearest[positions]
    elif additive:
        shares = word_rows[words] @ np.linalg.pinv(position_rows[positions], rcond=_ROUNDING)
        matches[positions] = words[shares.argmax(axis=0)]
    else:
        matches[positions] = words[distances[np.ix_(positions, words)].argmin(axis=1)]
    return matches
