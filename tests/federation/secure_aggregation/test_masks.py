"""Masks: the whole key counts, every number is as likely, and Flower's own are found by search."""

import numpy as np
import pytest
import scipy.stats
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen

from fedseed.federation.secure_aggregation.masks import KEY_BYTES, mask_of

KEY = bytes(range(KEY_BYTES))


@pytest.mark.parametrize("place", range(KEY_BYTES))
def test_every_byte_of_the_key_counts(place: int) -> None:
    other = bytearray(KEY)
    other[place] ^= 1
    assert np.mean(mask_of(KEY, 4000) == mask_of(bytes(other), 4000)) < 0.001


def test_the_same_key_gives_the_same_mask() -> None:
    assert np.array_equal(mask_of(KEY, 1000), mask_of(KEY, 1000))
    assert np.array_equal(mask_of(KEY, 1000)[:10], mask_of(KEY, 10))
    assert mask_of(KEY, 0).dtype == np.uint32
    with pytest.raises(ValueError, match="32 bytes"):
        mask_of(KEY[:-1], 3)


@pytest.mark.parametrize("modulus", [2, 7, 16, 257])
def test_uniform_over_a_small_modulus(modulus: int) -> None:
    counts = np.bincount(mask_of(KEY, 400_000) % modulus, minlength=modulus)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_uniform_at_both_ends() -> None:
    """The largest numbers occur, which Flower's generator never draws."""
    drawn = mask_of(KEY, 1 << 20)
    assert drawn.min() < 1 << 16
    assert drawn.max() > (1 << 32) - (1 << 16)
    highest = mask_of(KEY, 400_000) >> np.uint32(28)
    assert scipy.stats.chisquare(np.bincount(highest, minlength=16)).pvalue > 1e-3


def flowers(key: bytes, length: int = 4) -> list[int]:
    (drawn,) = pseudo_rand_gen(key, 1 << 24, [(length,)])
    return [int(number) for number in drawn]


def folded(key: bytes) -> int:
    """What is left of a key in Flower's generator."""
    return int(np.bitwise_xor.reduce(np.frombuffer(key, "<u4")))


def test_flower_s_mask_is_found_by_search_and_ours_is_not() -> None:
    """Of 2 ** 32 keys a desktop tries all; here 2 ** 12 of them, among which it is known to be."""
    key = np.random.default_rng(5).bytes(KEY_BYTES)
    wanted, start = flowers(key), folded(key) & ~0xFFF
    found = [
        guess
        for guess in range(start, start + 0x1000)
        if flowers(guess.to_bytes(4, "little")) == wanted
    ]
    assert found == [folded(key)]
    other = found[0].to_bytes(4, "little") + bytes(KEY_BYTES - 4)  # a key of 32 bits
    assert flowers(other) == wanted
    assert not np.array_equal(mask_of(other, 4), mask_of(key, 4))
