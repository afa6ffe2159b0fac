"""A lexicon as bytes: which tokens, by a prior over their frequency, and their levels.

Both are coded by asymmetric numeral systems (Duda 2013; constriction, Bamler 2022). Whether a token
is in the lexicon is a coin whose chance falls with its place in the order of frequency; levels
have frequencies of their own, which travel in front. ``docs/fseed.md`` is the specification.
"""

import functools
import math
import struct

import constriction
import numpy as np
from numpy.typing import NDArray

from fedseed.errors import SeedError
from fedseed.seeds.frequencies import distribution, frequency_table
from fedseed.seeds.kinds.lexicon import MOST_LEVELS
from fedseed.seeds.kinds.lexicon.words import EXPONENTS, Lexicon, frequency_order

_HEAD = "<BBHee"
_HEAD_BYTES = struct.calcsize(_HEAD)
_PRIORS = tuple((offset, root) for offset in (64, 256, 1024, 8192) for root in (True, False))
"""A token's chance is about ``1 / (place + offset)``, or the square root of that."""
_MOST_SHARE = 0.9
LARGEST_HALF = 60_000.0
"""Largest step, bias and slope."""
_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)
_Coder = constriction.stream.stack.AnsCoder


@functools.cache
def _shares(prior: int) -> tuple[NDArray[np.float64], float]:
    """What every token's chance is in proportion to, in the order of frequency; and their sum."""
    offset, root = _PRIORS[prior]
    places = np.arange(len(frequency_order())) + float(offset)
    shares: NDArray[np.float64] = np.divide(1.0, np.sqrt(places) if root else places)
    return shares, math.fsum(shares.tolist())


def _chances(words: int, prior: int) -> NDArray[np.float64]:
    """The chance of every token in the order of frequency; they add up to about ``words``."""
    shares, total = _shares(prior)
    chances: NDArray[np.float64] = np.minimum(_MOST_SHARE, shares * (words / total))
    return chances


def _best_prior(present: NDArray[np.bool_]) -> int:
    def bits(prior: int) -> float:
        chances = _chances(int(present.sum()), prior)
        return float(-np.log2(np.where(present, chances, 1 - chances)).sum())

    return min(range(len(_PRIORS)), key=bits)


def _table_size(most: int, columns: int) -> int:
    """Levels that a table of frequencies holds: 0 never occurs in a single column."""
    return 2 * most + (columns > 1)


def _to_symbols(levels: NDArray[np.int32], most: int) -> NDArray[np.int32]:
    """Levels as numbers from 0, in one row after the other."""
    flat = levels.reshape(-1)
    if levels.shape[1] == 1:
        return np.where(flat < 0, flat + most, flat + most - 1).astype(np.int32)
    return (flat + most).astype(np.int32)


def _to_levels(symbols: NDArray[np.int32], most: int, columns: int) -> NDArray[np.int32]:
    if columns == 1:
        symbols = np.where(symbols < most, symbols - most, symbols - most + 1)
    else:
        symbols = symbols - most
    return symbols.astype(np.int32).reshape(-1, columns)


def half(value: float) -> float:
    """The nearest number that travels in two bytes.

    Raises:
        SeedError: it is 60,000 or more, or not finite.
    """
    if not abs(value) < LARGEST_HALF:  # NaN is not
        raise SeedError(f"a lexicon's numbers are below {LARGEST_HALF:,.0f}")
    return float(np.float16(value))


def encode_lexicon(lexicon: Lexicon) -> bytes:
    """Write a lexicon.

    Raises:
        SeedError: it has no word, or numbers that do not fit.
    """
    words, most = len(lexicon.tokens), int(np.abs(lexicon.levels).max(initial=0))
    largest = float(np.abs(lexicon.biases).max())
    if not words or not 1 <= most <= MOST_LEVELS or not half(lexicon.step) > 0:
        raise SeedError("a lexicon has at least one word, levels to 127 and a positive step")
    largest = largest if half(largest) else 0.0
    order = frequency_order()
    present = np.isin(order, lexicon.tokens)
    prior = _best_prior(present)
    symbols = _to_symbols(lexicon.levels, most)
    counts = np.bincount(symbols, minlength=_table_size(most, lexicon.columns))
    table = frequency_table(counts)
    coder = _Coder()
    if np.count_nonzero(table) > 1:
        coder.encode_reverse(symbols, distribution(table))
    coder.encode_reverse(present.astype(np.int32), _BERNOULLI, _chances(words, prior))
    first = EXPONENTS.index(lexicon.exponent) | prior << 2
    head = struct.pack(_HEAD, first, most, words, lexicon.step, largest)
    scale = 127 / largest if largest else 0.0
    biases = np.rint(lexicon.biases * scale).astype(np.int8)
    coded = coder.get_compressed().astype("<u4")
    return b"".join([head, biases.tobytes(), table.tobytes(), coded.tobytes()])


def decode_lexicon(data: bytes, columns: int) -> Lexicon:
    """Read a lexicon of so many columns.

    Raises:
        SeedError: malformed bytes, or impossible numbers.
    """
    if len(data) < _HEAD_BYTES:
        raise SeedError("the lexicon is truncated")
    first, most, words, step, largest = struct.unpack_from(_HEAD, data)
    exponent, prior = first & 3, first >> 2
    order = frequency_order()
    if prior >= len(_PRIORS) or not 1 <= most <= MOST_LEVELS or not 1 <= words <= len(order):
        raise SeedError("the lexicon's header is malformed: make it again")
    if not (0 < step <= LARGEST_HALF and 0 <= largest <= LARGEST_HALF):  # NaN is neither
        raise SeedError("the lexicon's step or biases are impossible: make it again")
    middle = _HEAD_BYTES + columns
    end = middle + _table_size(most, columns)
    if len(data) < end or (len(data) - end) % 4:
        raise SeedError("the lexicon is truncated, or of another number of classes")
    biases = np.frombuffer(data[_HEAD_BYTES:middle], np.int8).astype(np.int64)
    table = np.frombuffer(data[middle:end], np.uint8)
    tokens, levels = _read_words(data[end:], table, (words, most, columns, prior))
    if not levels.any(axis=1).all():
        raise SeedError("the lexicon has a word without a weight: make it again")
    occurs = np.bincount(_to_symbols(levels, most), minlength=len(table)) > 0
    stated = np.abs(levels).max() == most and np.array_equal(occurs, table > 0)
    if not stated or table.max() != 255 or np.abs(biases).max() != (127 if largest else 0):
        raise SeedError("the lexicon is not in canonical form: make it again")
    return Lexicon(tokens, levels, step, EXPONENTS[exponent], biases * (largest / 127))


def _read_words(
    coded: bytes, table: NDArray[np.uint8], sizes: tuple[int, int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Tokens in ascending order, and their levels."""
    words, most, columns, prior = sizes
    numbers = np.frombuffer(coded, "<u4").astype(np.uint32)
    if not table.any() or (len(numbers) and numbers[-1] == 0):
        raise SeedError("the lexicon's coded part is malformed: make it again")
    coder = _Coder(numbers)
    present = np.asarray(coder.decode(_BERNOULLI, _chances(words, prior)), dtype=bool)
    if int(present.sum()) != words:
        raise SeedError("the lexicon's words do not fit their number: make it again")
    if np.count_nonzero(table) > 1:
        symbols = coder.decode(distribution(table), words * columns)
    else:
        symbols = np.full(words * columns, int(table.argmax()), dtype=np.int32)
    if not coder.is_empty():
        raise SeedError("the lexicon's coded part is longer than its header says")
    return np.sort(frequency_order()[present]), _to_levels(symbols, most, columns)
