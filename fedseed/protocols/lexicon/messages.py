"""What travels under ``lexicon``: what is asked for, the server's seed, and weighted words.

``docs/protocols/lexicon.md`` has the byte layout.
"""

import struct
from dataclasses import dataclass

import numpy as np

from fedseed.errors import SeedError, WireError
from fedseed.linear.lexicon import as_model
from fedseed.linear.token_weights import TokenWeights
from fedseed.protocols.lexicon import FEWEST_BUCKETS
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import decode
from fedseed.seeds.kinds.lexicon import MOST_LEVELS
from fedseed.seeds.kinds.lexicon.coding import decode_lexicon, encode_lexicon
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, Lexicon, columns_of

_ASKED = "<HB"
_ASKED_BYTES = struct.calcsize(_ASKED)
_BUCKETS = "<H"
_BUCKETED = 128
"""Added to the largest level where a number of buckets follows."""
LARGEST = 50_000.0
"""Of a weight or bias that is believed, in absolute value."""


@dataclass(frozen=True)
class Asked:
    """What a client is asked for, and the seed that the server has by now."""

    words: int
    """At most; 0 where counts of all tokens are asked for."""
    levels: int
    """Largest level; 0 where counts are asked for."""
    buckets: int = 0
    """0 for one a token."""
    seed: bytes = b""
    """Encoded; empty before the first round has ended."""

    def encode(self) -> bytes:
        """The body that goes down."""
        flag = _BUCKETED if self.buckets else 0
        buckets = struct.pack(_BUCKETS, self.buckets) if self.buckets else b""
        return struct.pack(_ASKED, self.words, self.levels | flag) + buckets + self.seed

    @classmethod
    def decode(cls, body: bytes) -> "Asked":
        """Read the body that came down.

        Raises:
            WireError: it is truncated, or asks for what there is not.
        """
        if len(body) < _ASKED_BYTES:
            raise WireError("the download does not say how many words are asked for")
        words, levels = struct.unpack_from(_ASKED, body)
        buckets, place = 0, _ASKED_BYTES
        if levels & _BUCKETED:
            place += struct.calcsize(_BUCKETS)
            if len(body) < place:
                raise WireError("the download does not say how many buckets are asked for")
            buckets = struct.unpack_from(_BUCKETS, body, _ASKED_BYTES)[0]
            if not FEWEST_BUCKETS <= buckets < VOCABULARY:
                raise WireError(f"{buckets} buckets are not known")
        levels &= ~_BUCKETED
        if words > VOCABULARY or levels > MOST_LEVELS or (words == 0) != (levels == 0):
            raise WireError(f"{words} words of {levels} levels are not known")
        return cls(words, levels, buckets, body[place:])


def encode_words(lexicon: Lexicon | None) -> bytes:
    """The body that goes up; empty where nothing is left to say."""
    return b"" if lexicon is None else encode_lexicon(lexicon)


def decode_words(body: bytes, classes: int, words: int | None = None) -> TokenWeights:
    """The linear model that a body stands for.

    Args:
        body: what came up.
        classes: number of classes.
        words: the most that were asked for.

    Raises:
        WireError: malformed bytes, more words than asked for, or weights beyond ``LARGEST``.
    """
    columns = columns_of(classes)
    if not body:
        return nothing(classes)
    try:
        lexicon = decode_lexicon(body, columns)
    except SeedError as error:
        raise WireError(str(error)) from error
    if words is not None and len(lexicon.tokens) > words:
        raise WireError(f"{len(lexicon.tokens)} words, where {words} were asked for")
    model = as_model(lexicon)
    largest = max(np.abs(model.weights).max(), np.abs(model.biases).max())
    if not largest <= LARGEST:
        raise WireError(f"not believable: weights beyond {LARGEST:,.0f}")
    return model


def nothing(classes: int) -> TokenWeights:
    """A model of no words."""
    columns = columns_of(classes)
    return TokenWeights(np.zeros((VOCABULARY, columns)), np.zeros(columns))


def seed_of(encoded: bytes, model: str, classes: int) -> Seed:
    """The seed that a server sends.

    Raises:
        WireError: malformed bytes, another kind, or a seed of another model.
    """
    try:
        seed = decode(encoded)
    except SeedError as error:
        raise WireError(str(error)) from error
    if (seed.kind, seed.model, seed.labels) != ("lexicon", model, classes):
        raise WireError(f"the server's seed is no lexicon of {model} with {classes} classes")
    return seed
