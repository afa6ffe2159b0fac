"""A lexicon read off a trained model: what it says of each word alone, without any text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.data.tokens import TokenTable
from fedseed.linear.lexicon import fit_bytes
from fedseed.linear.token_weights import TokenWeights
from fedseed.models.architecture import Floats
from fedseed.models.registry import build, find_model
from fedseed.seeds.base import Seed, check_weights
from fedseed.seeds.kinds.lexicon import LexiconOptions
from fedseed.seeds.kinds.lexicon.format import OVERHEAD, refuse_too_many_classes
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, Lexicon, frequency_order, rarity
from fedseed.seeds.make import make_seed
from fedseed.training import predict

_START, _END = 101, 102
"""[CLS] and [SEP] of bert-base-uncased."""
_EXPONENT = 0.5


def seed_of_model(
    model: str, labels: int, weights: Mapping[str, Floats], key: int, options: Mapping[str, Any]
) -> Seed:
    """A lexicon seed of what a trained classifier says of every word.

    Args:
        model: an architecture that starts from a random generator.
        labels: number of classes.
        weights: of the classifier.
        key: of everything that is drawn.
        options: see :class:`LexiconOptions`; of them ``max_bytes`` counts.

    Raises:
        SeedError: the model cannot carry a lexicon, its weights do not fit, or no word says
            anything.
        ConfigError: an option is impossible.
    """
    refuse_too_many_classes(model, labels)
    network = find_model(model, labels)
    module = build(network, check_weights(weights, network.shapes()))
    most = LexiconOptions.parse(options).max_bytes - OVERHEAD
    scores = _said_of_words(module, labels)
    return make_seed("lexicon", model, labels, key, options=options, extract=_fit(scores, most))


def _said_of_words(module: Any, labels: int) -> NDArray[np.float64]:
    """Scores of texts of one word each, shape ``(words, columns)``."""
    order = frequency_order()
    ends = np.full(len(order), _START), np.full(len(order), _END)
    texts = np.stack([ends[0], order, ends[1]], axis=1)
    offsets = np.arange(len(order) + 1) * texts.shape[1]
    table = TokenTable(texts.reshape(-1), offsets, np.zeros(len(order), np.int64))
    told = predict(module, table, np.arange(len(order)), texts.shape[1]).astype(np.float64)
    return told[:, 1:] - told[:, :1] if labels == 2 else told - told.mean(axis=1, keepdims=True)


def _fit(scores: NDArray[np.float64], most_bytes: int) -> Lexicon:
    """The largest lexicon that fits; a text as words usually are has the same score everywhere."""
    order, often = frequency_order(), np.zeros(VOCABULARY)
    often[order] = 1 / rarity()[order]
    often /= often.sum()
    weights = np.zeros((VOCABULARY, scores.shape[1]))
    weights[order] = scores - often[order] @ scores
    model = TokenWeights(weights, np.zeros(scores.shape[1]))
    return fit_bytes(model, most_bytes, np.sqrt(often), often, _EXPONENT)
