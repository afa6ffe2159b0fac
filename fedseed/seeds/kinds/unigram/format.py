"""The unigram seed: how often every token is, assembled into GPT-2's architecture.

Before training the model gives each token the same likelihood whatever stands before it: that of a
unigram model. The last layer norm answers with one coordinate alone, which the word embedding, that
is the output too, holds the tokens' logits in. Everything else is drawn from a key.
``docs/fseed.md`` is the specification.
"""

import struct
from collections.abc import Mapping
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from fedseed.errors import SeedError
from fedseed.models.architecture import CAUSAL, Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.frequencies import distribution, frequency_table
from fedseed.seeds.kinds.lexicon.coding import half
from fedseed.seeds.kinds.random import draw

_HEAD = "<QIeB"
_HEAD_BYTES = struct.calcsize(_HEAD)
_MOST_LEVEL = 255
_MOST_TOKENS = 1 << 20
_EMBEDDING = "transformer.wte.weight"
_NORM = "transformer.ln_f"
_OUTPUT = "lm_head.weight"
_Coder = constriction.stream.stack.AnsCoder


def fits(shapes: Shapes) -> bool:
    """Whether an architecture is GPT-2's, with its output tied to the word embedding."""
    return _EMBEDDING in shapes and f"{_NORM}.bias" in shapes and _OUTPUT not in shapes


def levels_of(counts: NDArray[np.int64], step: float) -> NDArray[np.int32]:
    """How many steps each token's logarithm lies below the most frequent one's, 0 to 255.

    Args:
        counts: how often every token stands in a text; one more is taken for each.
        step: nats.
    """
    logarithms = np.log(counts + 1.0)
    below = np.rint((logarithms.max() - logarithms) / step)
    return np.asarray(np.minimum(_MOST_LEVEL, below), dtype=np.int32)


def encode_levels(levels: NDArray[np.int32]) -> bytes:
    """Write levels: a table of their frequencies, and the entropy coded levels."""
    table = frequency_table(np.bincount(levels))
    coder = _Coder()
    if np.count_nonzero(table) > 1:
        coder.encode_reverse(levels, distribution(table))
    coded = bytes(coder.get_compressed().astype("<u4").tobytes())
    return bytes(table.tobytes()) + coded


def _decode(payload: bytes) -> tuple[int, float, NDArray[np.int32]]:
    """Key, step and levels.

    Raises:
        SeedError: malformed bytes.
    """
    if len(payload) < _HEAD_BYTES:
        raise SeedError("the unigram seed is truncated")
    key, tokens, step, last = struct.unpack_from(_HEAD, payload)
    end = _HEAD_BYTES + last + 1
    if not 0 < step <= _MOST_LEVEL or not 0 < tokens <= _MOST_TOKENS:  # NaN is neither
        raise SeedError("the unigram seed's header is malformed: make it again")
    table = np.frombuffer(payload[_HEAD_BYTES:end], np.uint8)
    numbers = np.frombuffer(payload[end : end + (len(payload) - end) // 4 * 4], "<u4")
    if len(table) <= last or (len(payload) - end) % 4 or not table[last] or table.max() != 255:
        raise SeedError("the unigram seed is truncated or malformed: make it again")
    if len(numbers) and numbers[-1] == 0:
        raise SeedError("the unigram seed's coded part is malformed: make it again")
    coder = _Coder(numbers.astype(np.uint32))
    if np.count_nonzero(table) > 1:
        levels = np.asarray(coder.decode(distribution(table), tokens), dtype=np.int32)
    else:
        levels = np.full(tokens, last, dtype=np.int32)
    if not coder.is_empty() or encode_levels(levels) != payload[_HEAD_BYTES:]:
        raise SeedError("the unigram seed is not in canonical form: make it again")
    return key, step, levels


class UnigramFormat(SeedFormat):
    """Assembles a GPT-2 that answers with the tokens' frequencies."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`; tokens are counted beforehand."""
        if material.labels != CAUSAL or not fits(material.shapes):
            raise SeedError(f"a unigram seed assembles GPT-2's architecture, not {material.model}")
        tokens = material.shapes[_EMBEDDING][0]
        counts = material.extract
        if not isinstance(counts, np.ndarray) or counts.shape != (tokens,):
            raise SeedError(f"a unigram seed is made of {tokens:,} counts of tokens")
        step = half(material.options.step)
        levels = levels_of(counts, step)
        head = struct.pack(_HEAD, material.key, tokens, step, int(levels.max()))
        return Seed("unigram", material.model, CAUSAL, head + encode_levels(levels))

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        key, step, levels = _decode(seed.payload)
        if seed.labels != CAUSAL or not fits(shapes) or shapes[_EMBEDDING][0] != len(levels):
            raise SeedError("the unigram seed is of another architecture or vocabulary")
        state = {name: draw(key, "bert", name, shape) for name, shape in shapes.items()}
        state[_EMBEDDING][:, 0] = levels * np.float32(-step)
        state[f"{_NORM}.weight"][:] = 0
        state[f"{_NORM}.bias"][:] = 0
        state[f"{_NORM}.bias"][0] = 1
        return state

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """See :class:`SeedFormat`."""
        return {"key and step": _HEAD_BYTES, "frequencies": len(seed.payload) - _HEAD_BYTES}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        key, step, levels = _decode(payload)
        return {"tokens": len(levels), "step": step, "levels": int(levels.max()), "key": key}
