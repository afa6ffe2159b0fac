"""The client side of ``lexicon``: a logistic regression of its own texts, of which words go up."""

import math
import struct

import numpy as np
from torch import nn

from fedseed.errors import SeedError, WireError
from fedseed.linear.counts import mean_counts
from fedseed.linear.lexicon import quantise
from fedseed.linear.selection import LabelledCounts
from fedseed.linear.token_weights import PENALTY, TokenWeights, by_importance
from fedseed.protocols.base import ClientTask
from fedseed.protocols.lexicon.messages import Asked, decode_words, encode_words, nothing, seed_of
from fedseed.protocols.shared_model import Download, SharedModelClient
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import decode
from fedseed.seeds.kinds.lexicon.words import Lexicon, rarity
from fedseed.training import FitResult

OWN_PENALTY = PENALTY / 10
"""A client's penalty: less than that of all texts together, since the mean over clients smooths."""
EXPONENT = 0.5
"""Of a word's rarity: how much more a rare word's level weighs."""
_SENT = "lexicon"
_LENGTH = "<I"


class LexiconClient(SharedModelClient):
    """Weighs words by its own texts, and sends those that say most of what it has not sent."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`: no step of training, one logistic regression."""
        asked, shard = Asked.decode(download.body), task.shard
        classes, rows = decode(download.seed).labels, shard.whole()
        counts = mean_counts(shard.table, rows, download.recipe.max_length)
        texts = LabelledCounts(counts, np.asarray(shard.table.labels[rows]), classes)
        own = texts.fit(penalty=OWN_PENALTY, balanced=True)
        share = _evenness(texts)
        own = TokenWeights(own.weights * share, own.biases * share)
        left = _minus(own, _sent(task.memory.get(_SENT, b""), classes))
        body = encode_words(_strongest(left, asked, texts))
        task.memory[_SENT] = (
            task.memory.get(_SENT, b"") + struct.pack(_LENGTH, len(body)) + body
        )  # fmt: skip
        return FitResult(0, math.nan, False), body

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`: what the server's seed assembles."""
        asked = Asked.decode(download.body)
        if not asked.seed:
            return grow(download.seed)
        own = decode(download.seed)
        try:
            seed_of(asked.seed, own.model, own.labels)
            return grow(asked.seed)
        except SeedError as error:
            raise WireError(str(error)) from error


def _strongest(model: TokenWeights, asked: Asked, texts: LabelledCounts) -> Lexicon | None:
    """The words that move scores most; None where none is left.

    How often a word stands is taken from its rarity, not from the client's texts: clients then
    send different words, of which the server makes more.
    """
    order = by_importance(np.abs(model.weights).max(axis=1) / rarity(EXPONENT))
    tokens = np.sort(order[: asked.words])
    if not len(tokens):
        return None
    try:
        return quantise(
            model, tokens, asked.levels, EXPONENT, 1 / rarity(0.75), texts.mean(balanced=True)
        )  # fmt: skip
    except SeedError:  # what is left is less than can be said
        return None


def _evenness(texts: LabelledCounts) -> float:
    """How much a client's weights count: 1 with as many texts of each class, 0 with one class.

    The square of the Gini index of its labels over that of even ones: a few texts of a class say
    little of it, however many there are of the others, and a balanced fit makes much of them.
    """
    shares = np.bincount(texts.labels, minlength=texts.classes) / max(1, len(texts.labels))
    return float((1 - np.square(shares).sum()) / (1 - 1 / texts.classes)) ** 2


def _sent(remembered: bytes, classes: int) -> TokenWeights:
    """All that a client has sent in earlier rounds."""
    total, place = nothing(classes), 0
    while place < len(remembered):
        start = place + struct.calcsize(_LENGTH)
        place = start + struct.unpack_from(_LENGTH, remembered, place)[0]
        part = decode_words(remembered[start:place], classes)
        total = TokenWeights(total.weights + part.weights, total.biases + part.biases)
    return total


def _minus(model: TokenWeights, other: TokenWeights) -> TokenWeights:
    return TokenWeights(model.weights - other.weights, model.biases - other.biases)
