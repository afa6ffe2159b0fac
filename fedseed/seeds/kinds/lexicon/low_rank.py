"""More classes than the hidden state has coordinates for: scores in fewer numbers, and back.

Each class is a row of signs over the coordinates, half of them negative, so that a token's entries
add up to 0 as the layer norms need it. The head takes scores back out of the coordinates: the
matrix that does so with the least square error for tokens that occur as often as their rarity says
and independently of each other (ridge regression). Neither travels: signs come from the key, the
head from the lexicon itself.

Every sum has a fixed order, and nothing but + - * / is used, so that all machines agree to the bit.
"""

import numpy as np
from numpy.typing import NDArray

from fedseed.models.architecture import Floats
from fedseed.seeds.kinds.lexicon.words import rarity
from fedseed.seeds.prng import integer_normal

_RIDGE = 0.01
"""Of the mean square of a coordinate: the head must not magnify what tanh and norms bend."""
_STREAM = "lexicon classes"


def signs_of(key: int, classes: int, coordinates: int) -> Floats:
    """A row of signs for each class, half of them negative: shape ``(classes, coordinates)``.

    Args:
        key: of everything that is drawn.
        classes: at least 2.
        coordinates: an even number.
    """
    drawn = integer_normal(key, _STREAM, classes * coordinates).reshape(classes, coordinates)
    ranks = drawn.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return np.where(ranks < coordinates // 2, np.float32(1), np.float32(-1))


def coordinates_of(weights: Floats, signs: Floats) -> Floats:
    """Weights of tokens in the coordinates, shape ``(tokens, coordinates)``.

    Args:
        weights: shape ``(tokens, classes)``.
        signs: see :func:`signs_of`.
    """
    out = np.zeros((len(weights), signs.shape[1]), dtype=np.float32)
    present = np.flatnonzero(weights.any(axis=1))
    total = out[present]
    for column, row in zip(weights[present].T, signs, strict=True):
        total = total + column[:, None] * row
    out[present] = total
    return out


def head_of(weights: Floats, coordinates: Floats) -> Floats:
    """The matrix that takes scores out of the coordinates, shape ``(classes, coordinates)``.

    Args:
        weights: shape ``(tokens, classes)``.
        coordinates: of the same tokens, see :func:`coordinates_of`.
    """
    width = coordinates.shape[1]
    sides = np.concatenate([coordinates, weights], axis=1).astype(np.float64)
    system = np.zeros((width, sides.shape[1]))
    often = 1 / rarity()
    for token in np.flatnonzero(weights.any(axis=1)):
        both = sides[token]
        system = system + (both[:width] * often[token])[:, None] * both
    trace = 0.0
    for place in range(width):
        trace = trace + float(system[place, place])
    for place in range(width):
        system[place, place] += _RIDGE * trace / width
    return np.asarray(_solved(system).T, dtype=np.float32)


def _solved(system: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve equations by Gauss-Jordan elimination.

    Args:
        system: a positive definite matrix, and beside it the right-hand sides.
    """
    width = len(system)
    for place in range(width):
        row = system[place] / system[place, place]
        system = system - system[:, place, None] * row
        system[place] = row
    return system[:, width:]
