"""Whether a client has texts with a word, asked by a server that chooses seed and recipe.

Under the ``recipe`` protocol only scores come up, and no weight has moved for anybody to read. But
the server says which model is scored. It can send one that classifies by a single question of its
own, with a recipe that leaves it as it is: the scores are then the answer, counted over the
client's texts. (Malicious models against federated learning: Fowl et al. 2022, arXiv 2110.13057;
here nothing but a score has to come back.)

The model here asks whether a word is in the text. Words are alike but for the word in question;
attention is uniform and carries its direction, if it is there, to [CLS] with a gain that one
occurrence among 512 tokens saturates. All texts without the word get one pair of logits, bit for
bit, and all texts with it another, so that count and loss of the validation split give the exact
table of word by class. A training step at a vanishing rate, over a batch as large as the training
split, gives the number of training texts with the word through the training loss: label smoothing
near 1 makes that independent of the labels.

All matrices have rank 1 and mean zero, and most entries are exactly zero: a ``pca`` seed of a few
hundred bytes holds them. What would stop this: clients that accept seeds of kind ``random`` alone,
by a key they help to choose; a least number of steps and a least rate, a most for batch size and
label smoothing; scores rounded, or noised by differential privacy; and few requests. That weights
stay with the clients does not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.tokens.vocabulary import CLS, SEP
from fedseed.data.tokens import TokenTable
from fedseed.errors import WireError
from fedseed.models.architecture import Architecture, State
from fedseed.protocols.recipe.messages import SCORE_BYTES, RecipeScore
from fedseed.protocols.request import SeedBroadcast
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Material
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pca import PcaOptions
from fedseed.seeds.kinds.pca.format import PcaFormat
from fedseed.training import Compute, predict
from fedseed.training.precision_and_device import PRECISIONS, Precision

Floats = NDArray[np.float64]

_LOUD = 1000.0
"""The word's embedding, beside what all tokens share."""
_VALUE_GAIN, _OUTPUT_GAIN, _POOL_GAIN = 100.0, 1e4, 100.0
_SLOPE, _OFFSET = 1.15, 0.85
"""The classes' logits differ by ``_OFFSET`` plus or minus ``_SLOPE``: of texts with the word by 2.0
for class 1, of texts without by 0.3 for class 0. Their four losses are in no simple ratio."""
_SMOOTHING = 1 - 1e-6
_RATE = 1e-12
_NOT_CRAFTED = "the score is not one of the crafted model"
_Table = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class WordCounts:
    """How many of a client's texts have a word."""

    validation: tuple[tuple[int, int], tuple[int, int]]
    """Texts of the validation split by class: without the word, and with it."""
    training: int | None
    """Texts of the training split with the word; None when it was not asked for."""

    @property
    def with_word(self) -> int:
        """Validation texts that have the word."""
        return sum(having for _, having in self.validation)


def craft(words: Sequence[int], shape: Architecture) -> bytes:
    """Make a seed whose model separates texts with any of some words from texts without.

    Args:
        words: word ids, not those of [CLS] and [SEP], which every text has.
        shape: the architecture, of two classes and at least six features.

    Returns:
        The encoded seed, of kind ``pca``.

    Raises:
        ValueError: words or architecture do not serve.
    """
    if not words or not set(words).isdisjoint((CLS, SEP)):
        raise ValueError("ask for at least one word, but not for [CLS] or [SEP]")
    if shape.labels != 2 or shape.hidden < 6:
        raise ValueError("a crafted model has two classes and at least six features")
    state = _asking(words, shape)
    options = PcaOptions(k=1, step=1e-3)
    material = Material(shape.name, shape.labels, shape.shapes(), 0, options, state)
    return encode(PcaFormat().make(material))


def _asking(words: Sequence[int], shape: Architecture) -> State:
    """The weights: zero but for six matrices of rank 1 and the classifier's bias."""
    state = {name: np.zeros(size, dtype=np.float32) for name, size in shape.shapes().items()}
    for name in state:
        if name.endswith("LayerNorm.weight"):
            state[name] += 1.0
    # Directions of mean zero, which layer norms leave alone, on features of their own.
    pairs = np.zeros((3, shape.hidden), dtype=np.float32)
    for number, pair in enumerate(pairs):
        pair[2 * number : 2 * number + 2] = 1, -1
    word, usual, seen = pairs
    first = "bert.encoder.layer.0.attention."
    state["bert.embeddings.word_embeddings.weight"][list(words)] = _LOUD * word
    state["bert.embeddings.token_type_embeddings.weight"][0] = usual
    state[first + "self.value.weight"] += _VALUE_GAIN * np.outer(seen, word)
    state[first + "output.dense.weight"] += _OUTPUT_GAIN * np.outer(seen, seen)
    # Later layers add nothing to a [CLS] state that is ``usual`` or ``seen``, and norms keep it.
    state["bert.pooler.dense.weight"] += _POOL_GAIN * np.outer(word, seen - usual)
    classes = np.array([-1, 1], dtype=np.float32)
    state["classifier.weight"] += _SLOPE / 4 * np.outer(classes, word)
    state["classifier.bias"] += _OFFSET / 2 * classes
    return state


def request(seed: bytes, max_length: int, train_examples: int | None = None) -> bytes:
    """The payload that a server of the ``recipe`` protocol would send.

    Args:
        seed: a crafted seed.
        max_length: tokens of a text that are looked at. Several requests of growing length say
            where in their texts clients use a word.
        train_examples: size of the client's training split, which every score holds; to count over
            that as well. None to ask for the validation split alone, in no step at all.
    """
    recipe = Recipe(steps=0, max_length=max_length)
    if train_examples is not None:
        recipe = recipe.replace(
            steps=1, batch_size=train_examples, learning_rate=_RATE, label_smoothing=_SMOOTHING
        )
    return SeedBroadcast(seed).request([recipe], held=False)


def losses(seed: bytes, words: Sequence[int], precision: Precision = "fp32") -> Floats:
    """Losses of texts without and with the word, as clients of a precision will compute them.

    Returns:
        Nats, shape ``(2, 2)``: without or with, by class.
    """
    plain = next(word for word in range(1, len(words) + 4) if word not in (*words, CLS, SEP))
    texts = np.array([CLS, plain, SEP, CLS, words[0], SEP])
    table = TokenTable(texts, np.array([0, 3, 6]), np.zeros(2, dtype=np.int64))
    return -predict(grow(seed), table, np.arange(2), 4, Compute(precision)).astype(np.float64)


def read(contribution: bytes, seed: bytes, words: Sequence[int]) -> WordCounts:
    """Read a client's reply to :func:`request`.

    With ``n`` texts, ``c`` of them right, let ``a`` be class 0 without the word and ``b`` class 1
    without it: class 1 with it are ``c - a``, class 0 with it ``n - c - b``. The mean loss is
    linear in both, and two whole numbers fit it. The precision in which the client computed is
    the one that they fit best.

    Args:
        contribution: what came up.
        seed: the crafted seed that was sent.
        words: the words that it asks for.

    Raises:
        WireError: it is no single score, or not that of the crafted model.
    """
    if len(contribution) != SCORE_BYTES:
        raise WireError(f"{len(contribution)} bytes are not one score")
    score = RecipeScore.decode(contribution)
    possible = score.validation_correct <= score.validation_examples
    if not possible or not math.isfinite(score.validation_loss):
        raise WireError(_NOT_CRAFTED)
    expected = (losses(seed, words, precision) for precision in PRECISIONS)
    fits = [(*_table(score, by_class), by_class) for by_class in expected]
    misfit, table, by_class = min(fits, key=lambda fit: fit[0])
    if misfit > 1e-4:
        raise WireError(_NOT_CRAFTED)
    training = None
    if score.steps:
        without, having = by_class.mean(axis=1)  # smoothed labels weigh both classes alike
        share = (score.train_loss - without) / (having - without)
        training = min(max(round(share * score.train_examples), 0), score.train_examples)
    return WordCounts(table, training)


def _table(score: RecipeScore, by_class: Floats) -> tuple[float, _Table]:
    """Validation texts by class and word, the table of the nearest mean loss, and how far it is."""
    total, right = score.validation_examples, score.validation_correct
    wrong = total - right
    rest = total * score.validation_loss - right * by_class[1, 1] - wrong * by_class[1, 0]
    b = np.arange(wrong + 1)
    exact = (rest - b * (by_class[0, 1] - by_class[1, 0])) / (by_class[0, 0] - by_class[1, 1])
    a = np.clip(np.rint(exact), 0, right)
    misfit = np.abs(exact - a)
    best = int(misfit.argmin())
    zero, one = int(a[best]), int(b[best])
    return float(misfit[best]), ((zero, wrong - one), (one, right - zero))
