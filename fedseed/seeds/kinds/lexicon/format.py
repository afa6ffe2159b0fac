"""The lexicon seed's payload: key, slope, and the coded lexicon; see docs/fseed.md."""

import struct
from collections.abc import Mapping
from typing import Any

from fedseed.errors import SeedError
from fedseed.models.architecture import FROM_PRNG, Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.kinds.lexicon import MOST_CLASSES
from fedseed.seeds.kinds.lexicon.assembly import assemble_lexicon, slope_of
from fedseed.seeds.kinds.lexicon.coding import (
    LARGEST_HALF,
    decode_lexicon,
    encode_lexicon,
    half,
)
from fedseed.seeds.kinds.lexicon.words import Lexicon, columns_of

_HEAD = "<IeB"
_HEAD_BYTES = struct.calcsize(_HEAD)
_MOST_KEY = 1 << 32
OVERHEAD = 19 + _HEAD_BYTES
"""Bytes of a seed of a registered model beside the coded lexicon, at most."""


def lexicon_seed(lexicon: Lexicon, model: str, labels: int, key: int, shapes: Shapes) -> Seed:
    """Make a seed of a lexicon.

    Args:
        lexicon: weighted words, with a column for each class, or one for two classes.
        model: an architecture that starts from a random generator.
        labels: number of classes.
        key: of everything that is drawn, in [0, 2**32).
        shapes: name and shape of every parameter.

    Raises:
        SeedError: the model cannot carry so many classes, or the lexicon does not fit.
    """
    refuse_too_many_classes(model, labels)
    if lexicon.columns != columns_of(labels):
        raise SeedError(f"a lexicon of {lexicon.columns} columns is not of {labels} classes")
    if not 0 <= key < _MOST_KEY:
        raise SeedError(f"the key {key} of a lexicon seed is not in 0 to 2**32 - 1")
    coded = encode_lexicon(lexicon)
    # What others read, with its rounded step and biases, is what the slope is of.
    slope = half(slope_of(decode_lexicon(coded, lexicon.columns), key, shapes))
    if not slope:
        raise SeedError("the lexicon's weights are too large for a seed: make it again")
    return Seed("lexicon", model, labels, struct.pack(_HEAD, key, slope, lexicon.columns) + coded)


def refuse_too_many_classes(model: str, labels: int) -> None:
    """Raise a SeedError for a model that cannot carry a lexicon of so many classes."""
    if model not in FROM_PRNG:
        raise SeedError(f"a lexicon seed assembles {', '.join(FROM_PRNG)}, not {model}")
    if not 2 <= labels <= MOST_CLASSES:
        raise SeedError(f"a lexicon seed holds 2 to {MOST_CLASSES} classes, not {labels}")


def read_lexicon(payload: bytes) -> tuple[Lexicon, int, float]:
    """The lexicon of a payload, its key and its slope.

    Raises:
        SeedError: the payload is malformed.
    """
    if len(payload) < _HEAD_BYTES:
        raise SeedError("the lexicon seed is truncated")
    key, slope, columns = struct.unpack_from(_HEAD, payload)
    if not 0 < slope <= LARGEST_HALF or columns in (0, 2):
        raise SeedError("the lexicon seed's header is malformed: make it again")
    return decode_lexicon(payload[_HEAD_BYTES:], columns), key, slope


class LexiconFormat(SeedFormat):
    """Assembles a BERT that computes the lexicon's scores."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`; the lexicon is extracted beforehand."""
        if not isinstance(material.extract, Lexicon):
            raise SeedError("a lexicon seed is made of labelled texts: give some")
        key = material.key % _MOST_KEY
        return lexicon_seed(material.extract, material.model, material.labels, key, material.shapes)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        lexicon, key, slope = read_lexicon(seed.payload)
        refuse_too_many_classes(seed.model, seed.labels)
        if lexicon.columns != columns_of(seed.labels):
            raise SeedError("the lexicon is of another number of classes: make it again")
        return assemble_lexicon(lexicon, key, slope, shapes)

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """See :class:`SeedFormat`."""
        read_lexicon(seed.payload)
        return {"key and slope": _HEAD_BYTES, "words": len(seed.payload) - _HEAD_BYTES}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        lexicon, key, _ = read_lexicon(payload)
        return {
            "words": len(lexicon.tokens), "levels": int(abs(lexicon.levels).max()), "key": key
        }  # fmt: skip
