"""Words by logistic regression: a client's own, of which the strongest go up; the server's mean."""

import numpy as np

from fedseed.errors import SeedError, WireError
from fedseed.linear.buckets import spread
from fedseed.linear.lexicon import fit_bytes, quantise
from fedseed.linear.selection import LabelledCounts
from fedseed.linear.token_weights import PENALTY, TokenWeights, by_importance
from fedseed.protocols.lexicon import LexiconOptions
from fedseed.protocols.lexicon.estimates import Estimate
from fedseed.protocols.lexicon.messages import LARGEST, Asked, decode_words, nothing
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, Lexicon, columns_of, rarity

OWN_PENALTY = PENALTY / 10
"""A client's penalty: less than that of all texts together, since the mean over clients smooths."""
EXPONENT = 0.5
"""Of a word's rarity: how much more a rare word's level weighs."""
_WORD_BYTES = 2.0
"""About the most bytes that a word takes in one column, place and level."""


def own_weights(texts: LabelledCounts) -> TokenWeights:
    """A client's logistic regression, times how much it counts."""
    own, share = texts.fit(penalty=OWN_PENALTY, balanced=True), evenness(texts)
    return TokenWeights(own.weights * share, own.biases * share)


def strongest(model: TokenWeights, asked: Asked, texts: LabelledCounts) -> Lexicon | None:
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


def evenness(texts: LabelledCounts) -> float:
    """How much a client's weights count: 1 with as many texts of each class, 0 with one class.

    The square of the Gini index of its labels over that of even ones: a few texts of a class say
    little of it, however many there are of the others, and a balanced fit makes much of them.
    """
    shares = np.bincount(texts.labels, minlength=texts.classes) / max(1, len(texts.labels))
    return float((1 - np.square(shares).sum()) / (1 - 1 / texts.classes)) ** 2


class MeanWeights(Estimate):
    """The sum over rounds of the clients' mean weights, in proportion to their examples."""

    def __init__(self, classes: int, options: LexiconOptions) -> None:
        """Begin with no word."""
        self._classes, self._options = classes, options
        self._total, self._round = nothing(classes), nothing(classes)
        self._examples = 0

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`Estimate`."""
        part = decode_words(body, self._classes, self._options.words)
        self._round.weights[:] += examples * part.weights
        self._round.biases[:] += examples * part.biases
        self._examples += examples

    def finish_round(self) -> None:
        """See :class:`Estimate`."""
        weights = self._total.weights + self._round.weights / self._examples
        biases = self._total.biases + self._round.biases / self._examples
        self._total = TokenWeights(
            np.clip(weights, -LARGEST, LARGEST), np.clip(biases, -LARGEST, LARGEST)
        )
        self._round, self._examples = nothing(self._classes), 0

    def lexicon(self, most_bytes: int) -> Lexicon:
        """See :class:`Estimate`."""
        weights = spread(self._total.weights, self._options.buckets)
        return fit_bytes(TokenWeights(weights, self._total.biases), most_bytes)

    def save(self) -> bytes:
        """See :class:`Estimate`."""
        numbers = np.concatenate([self._total.weights.reshape(-1), self._total.biases])
        return numbers.astype("<f8").tobytes()

    def load(self, data: bytes) -> None:
        """See :class:`Estimate`."""
        columns = columns_of(self._classes)
        if len(data) != 8 * (VOCABULARY + 1) * columns:
            raise WireError("the checkpoint is of another number of classes")
        numbers = np.frombuffer(data, "<f8").astype(np.float64)
        if not np.all(np.abs(numbers) <= LARGEST):  # NaN is not
            raise WireError(f"the checkpoint has weights not finite or beyond {LARGEST:g}")
        weights, biases = numbers[:-columns].reshape(-1, columns), numbers[-columns:]
        self._total = TokenWeights(weights.copy(), biases.copy())

    def describe(self, body: bytes) -> str:
        """See :class:`Estimate`: how many words it has."""
        try:
            part = decode_words(body, self._classes)
        except WireError:
            return ""
        return f"{np.count_nonzero(part.weights.any(axis=1)):,} words"

    def upload_estimate(self) -> int:
        """See :class:`Estimate`."""
        options, columns = self._options, columns_of(self._classes)
        table = 2 * options.levels + 1 + columns + 20
        words = min(options.words, options.buckets or options.words)
        return int(words * (_WORD_BYTES + columns * options.weight_bits / 8)) + table
