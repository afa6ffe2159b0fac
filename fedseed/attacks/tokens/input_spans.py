"""Row spans of gradients: which inputs can have made them.

The gradient of a projection is a sum of outer products with its inputs, so that those lie in its
row span while there are fewer tokens than features (DAGER, Petrov et al. 2024, arXiv 2405.15586).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats
from fedseed.attacks.tokens.optimiser_step import LEAST, POSITIONS, State, Step
from fedseed.attacks.tokens.vocabulary import WORDS

Ids = NDArray[np.int64]

_SEGMENTS = "bert.embeddings.token_type_embeddings.weight"
_NORM = "bert.embeddings.LayerNorm."
_PARTS = ("query", "key", "value")
TOLERANCE = 0.3
"""Largest distance of a token that is called inside the span; unrelated tokens are near 1."""


def input_span(gradient: Floats, tolerance: float) -> Floats | None:
    """Orthonormal basis of the inputs of a projection.

    Args:
        gradient: of its weights, shape ``(outputs, features)``.
        tolerance: singular values up to this are noise.

    Returns:
        Shape ``(rank, features)``; None when the rank is full, so that every vector is inside.
    """
    _, values, right = np.linalg.svd(gradient, full_matrices=False)
    rank = int((values > tolerance).sum())
    return None if rank == gradient.shape[1] else np.asarray(right[:rank], dtype=np.float64)


def span_above_noise(gradient: Floats) -> Floats | None:
    """:func:`input_span` of a gradient whose noise has deviation 1.

    The largest singular value of noise alone is about the root of its rows plus that of its columns
    (Bai and Yin 1993).
    """
    return input_span(gradient, 1.05 * float(np.sqrt(gradient.shape).sum()))


def layer_span(step: Step, layer: int, parts: Sequence[str] = _PARTS) -> Floats | None:
    """The span of a layer's attention inputs, of one step of SGD.

    Gradients are brought to unit noise before they are stacked.
    """
    names = [f"bert.encoder.layer.{layer}.attention.self.{part}.weight" for part in parts]
    stacked = np.concatenate([step.moves[name] / step.noise[name] for name in names])
    return span_above_noise(stacked)


def embedded(state: State, words: Ids, position: int, eps: float = 1e-12) -> Floats:
    """Layer 0's inputs for some words at one position, shape ``(words, features)``."""
    rows = state[WORDS][words].astype(np.float64)
    rows += state[POSITIONS][position].astype(np.float64) + state[_SEGMENTS][0]
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + eps)
    return np.asarray(rows * state[_NORM + "weight"] + state[_NORM + "bias"], dtype=np.float64)


def tokens_by_span(state: State, span: Floats, candidates: Ids, positions: int) -> Floats:
    """How far candidate words at each position are from the span of the inputs.

    Args:
        state: the state that went down.
        span: orthonormal rows, see :func:`layer_span`.
        candidates: word ids, such as :func:`fedseed.attacks.tokens.vocabulary.moved_rows` finds.
        positions: positions to look at, from the first.

    Returns:
        Shape ``(positions, candidates)``: the part outside the span, in units of how far the word's
        input is from the position's mean input, so that what all words share does not count. 0 for
        words that are there, about 1 for others.
    """
    sample = np.arange(0, len(state[WORDS]), 61)
    distances = np.empty((positions, len(candidates)))
    for place in range(positions):
        inputs = embedded(state, candidates, place)
        usual = embedded(state, sample, place).mean(axis=0)
        outside = np.linalg.norm(inputs - inputs @ span.T @ span, axis=1)
        distances[place] = outside / np.maximum(np.linalg.norm(inputs - usual, axis=1), LEAST)
    return distances


def sets_by_span(distances: Floats, candidates: Ids, tolerance: float = TOLERANCE) -> list[Ids]:
    """The words inside the span at each position, to where no word is, nearest first."""
    sets: list[Ids] = []
    for row in distances:
        order = np.argsort(row, kind="stable")
        inside = candidates[order[row[order] < tolerance]]
        if not len(inside):
            break
        sets.append(inside)
    return sets
