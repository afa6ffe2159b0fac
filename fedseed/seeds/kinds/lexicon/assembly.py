"""From a lexicon to a BERT that computes it: before any step, the model is a bag of words.

One coordinate of the hidden state belongs to each class. A token's word embedding carries its
weights there, which add up to 0 over the classes, so that layer norms, whose mean all coordinates
share, leave the differences alone. The first layer's attention, which is nearly uniform, adds the
mean over the text to every token; residual connections carry it on, and nothing else reads or
writes these coordinates. The pooler and the head read them. All else is drawn as by the random
seed's scheme ``scaled``, and the head does not look at it until it is trained.
"""

import functools
import operator

import numpy as np

from fedseed.errors import SeedError
from fedseed.models.architecture import Floats, Shapes, State
from fedseed.seeds.initialisation import standard_deviation
from fedseed.seeds.kinds.lexicon import most_coordinates
from fedseed.seeds.kinds.lexicon.low_rank import coordinates_of, head_of, signs_of
from fedseed.seeds.kinds.lexicon.words import Lexicon
from fedseed.seeds.kinds.random import draw

PEAK = np.float32(6.0)
"""What the longest token's weights come to after the first norm, as an entry of two that are alike.

As large as the norm allows (its square is less than half of the 128 features): training moves all
entries by steps of one size, and must not have moved these before it has moved anything else
(docs/decisions/lexicon.md).
"""
SCALE = np.float32(64.0)
"""By which word and token type embeddings are larger than drawn, which the first norm takes away.

Training moves all weights by steps of one size. Here the token type's, which shift all scores
alike, must move little; words are moved by the recipe's multiplier (docs/decisions/lexicon.md).
"""
GAIN = np.float32(5.0)
"""By which the attention multiplies the mean."""
DIVISOR = np.float32(4.0)
"""Scores are divided by it before tanh, and multiplied after, so that tanh hardly bends them."""
_WORD = "bert.embeddings.word_embeddings.weight"
_TYPE = "bert.embeddings.token_type_embeddings.weight"
_EPSILON = 1e-12


def _base(key: int, shapes: Shapes, classes: int) -> State:
    """What the random seed assembles, with the classes' coordinates cut off from all else."""
    state = {name: draw(key, "scaled", name, shape) for name, shape in shapes.items()}
    state[_TYPE][:, :classes] = 0
    for name in (_WORD, _TYPE):
        if name in state:
            state[name] *= SCALE
    for name, values in state.items():
        if values.ndim != 2 or "embeddings" in name:
            continue
        if name == "classifier.weight":
            values[:] = 0
        elif "intermediate" in name:
            values[:, :classes] = 0
        elif ".output.dense" in name and ".attention." not in name:
            values[:classes] = 0
        else:
            values[:classes] = 0
            values[:, :classes] = 0
    return state


def _centring(classes: int) -> Floats:
    """The matrix that takes the classes' mean off, shape ``(classes, classes)``."""
    return np.eye(classes, dtype=np.float32) - np.float32(1.0) / np.float32(classes)


def assemble_lexicon(lexicon: Lexicon, key: int, slope: float, shapes: Shapes) -> State:
    """All weights.

    Args:
        lexicon: weighted words.
        key: of everything that is drawn.
        slope: how far a score moves the pooler's input, see :func:`slope_of`.
        shapes: name and shape of every parameter.

    Raises:
        SeedError: all weights are the same for all classes.
    """
    weights = lexicon.weights()
    entries = _entries(weights, key, shapes)
    width = entries.shape[1]
    state = _base(key, shapes, width)
    state[_WORD][:, :width] = _before_norm(entries * (PEAK / _largest(entries)), state[_TYPE][0])
    first = "bert.encoder.layer.0.attention"
    state[f"{first}.self.value.weight"][:width, :width] = _centring(width) * GAIN
    state[f"{first}.output.dense.weight"][:width, :width] = np.eye(width, dtype=np.float32)
    pooler = _centring(width) / (DIVISOR * np.float32(slope))
    state["bert.pooler.dense.weight"][:width, :width] = pooler
    if entries is weights:
        state["bert.pooler.dense.bias"][:width] = lexicon.class_biases() / DIVISOR
        head = np.eye(width, dtype=np.float32)
    else:
        state["classifier.bias"][:] = lexicon.class_biases()
        head = head_of(weights, entries)
    state["classifier.weight"][:, :width] = head * DIVISOR
    return state


def _entries(weights: Floats, key: int, shapes: Shapes) -> Floats:
    """What the classes' coordinates hold of every token, shape ``(tokens, coordinates)``.

    The weights themselves, one coordinate a class, unless there are too many classes.
    """
    most = most_coordinates(shapes[_WORD][1])
    if weights.shape[1] <= most:
        return weights
    return coordinates_of(weights, signs_of(key, weights.shape[1], most))


def slope_of(lexicon: Lexicon, key: int, shapes: Shapes) -> float:
    """How far a text's score of 1 moves its class's coordinate in the last layer.

    Every token without a weight has about the same hidden state, the token type's. That state is
    sent through the layers once, to see what their norms divide by. It is computed where a seed
    is made, and travels in the seed: it need not come out the same everywhere.
    """
    entries = _entries(lexicon.weights(), key, shapes)
    few = {name: shape for name, shape in shapes.items() if name != _WORD}  # the large one
    state = _base(key, few, entries.shape[1])
    common = state[_TYPE][0].astype(np.float64)
    hidden, slope = (common - common.mean()) / np.sqrt(_variance(state[_TYPE][0])), 1.0
    for prefix in _layers(shapes):
        value = state[f"{prefix}.attention.self.value.weight"] @ hidden
        hidden, deviation = _norm(hidden + state[f"{prefix}.attention.output.dense.weight"] @ value)
        slope /= deviation
        wide = _gelu(state[f"{prefix}.intermediate.dense.weight"] @ hidden)
        hidden, deviation = _norm(hidden + state[f"{prefix}.output.dense.weight"] @ wide)
        slope /= deviation
    return float(slope * GAIN * PEAK / _largest(entries))


def _largest(weights: Floats) -> np.float32:
    """The length of the longest token's weights, as an entry of two that are alike would have it.

    Every sum is in the order of the classes, so that it is the same on every machine.

    Raises:
        SeedError: all are 0, or one is not finite.
    """
    squares = np.zeros(len(weights), dtype=np.float32)
    for column in weights.T:
        squares = squares + column * column
    largest = np.sqrt(squares.max() / np.float32(2))
    if not 0 < largest < np.inf:  # NaN is neither
        raise SeedError("the lexicon's words say nothing about the classes: make it again")
    return np.float32(largest)


def _variance(common: Floats) -> float:
    """Variance of a token's features before the first norm, without weights of its own.

    In the order of the features, so that it is the same on every machine.

    Args:
        common: the token type's embedding, which is most of every token's.
    """
    values = [float(value) for value in common]
    mean = functools.reduce(operator.add, values) / len(values)
    squares = functools.reduce(operator.add, ((value - mean) ** 2 for value in values))
    words = float(SCALE) * standard_deviation("scaled", _WORD, (0, 0))
    return squares / len(values) + words**2


def _before_norm(wanted: Floats, common: Floats) -> Floats:
    """Entries that the first norm turns into the wanted ones.

    A token's entries add up to 0 and add to its variance: what they are divided by is known.

    Args:
        wanted: shape ``(tokens, classes)``; the squares of a token's add up to less than the
            number of features.
        common: see :func:`_variance`.
    """
    squares = np.zeros(len(wanted), dtype=np.float32)
    for column in wanted.T:
        squares = squares + column * column
    rest = np.float32(1.0) - squares / np.float32(len(common))
    out: Floats = wanted * np.sqrt(np.float32(_variance(common)) / rest)[:, None]
    return out


def _layers(shapes: Shapes) -> list[str]:
    names = [name for name in shapes if name.endswith("attention.self.query.weight")]
    return [name.removesuffix(".attention.self.query.weight") for name in names]


def _norm(values: Floats) -> tuple[Floats, float]:
    deviation = float(np.sqrt(values.var() + _EPSILON))
    return (values - values.mean()) / deviation, deviation


def _gelu(values: Floats) -> Floats:
    from scipy.special import ndtr

    gated: Floats = values * ndtr(values)
    return gated
