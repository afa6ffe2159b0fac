"""Weights from a key: bit for bit what was committed, and what the specification says."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fedseed.models.architecture import architecture
from fedseed.models.registry import to_state
from fedseed.seeds.assemble import grow, grown_tensor
from fedseed.seeds.codec import assemble, encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.seeds.prng import integer_normal, normal

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "weights.json").read_text())
KEY = 0x0123456789ABCDEF


def philox(key: tuple[int, int], counter: int) -> list[int]:
    """Philox4x64-10 in plain integers, from the paper's definition: one block of four words."""
    words, (low, high) = [counter, 0, 0, 0], key
    mask = 2**64 - 1
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [
            (second >> 64) ^ words[1] ^ low, second & mask,
            (first >> 64) ^ words[3] ^ high, first & mask,
        ]  # fmt: skip
        low, high = (low + 0x9E3779B97F4A7C15) & mask, (high + 0xBB67AE8584CAA73B) & mask
    return words


def plain_normal(key: int, name: str, count: int, std: float) -> NDArray[np.float32]:
    """The specification, one number at a time."""
    second = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    blocks = range(1, math.ceil(3 * count / 4) + 1)
    words = [word for block in blocks for word in philox((key, second), block)]
    out = []
    for index in range(count):
        total = 0
        for word in words[3 * index : 3 * index + 3]:
            total += sum((word >> shift) & 0xFFFF for shift in (0, 16, 32, 48))
        out.append(np.float32((2 * total - 12 * 65535) * (std / 131072)))
    return np.array(out, dtype=np.float32)


def test_equals_the_plain_specification() -> None:
    fast = normal(KEY, "some.tensor", (37, 3), 0.02)
    assert np.array_equal(fast.ravel(), plain_normal(KEY, "some.tensor", 111, 0.02))


def test_chunks_do_not_show() -> None:
    long = integer_normal(KEY, "a", 70_000)
    assert np.array_equal(long[:65_000], integer_normal(KEY, "a", 65_000))


def test_is_normal() -> None:
    values = normal(KEY, "b", (200_000,), 1.0)
    assert abs(float(values.mean())) < 0.01
    assert abs(float(values.std()) - 1) < 0.01
    assert abs(float(stats.kurtosis(values))) < 0.15  # a sum of twelve: -0.1
    assert stats.kstest(values, "norm").statistic < 0.01


@pytest.mark.parametrize("scheme", ["bert", "scaled"])
def test_committed_digest(scheme: str) -> None:
    shapes = architecture("bert-tiny").shapes()
    state = assemble(random_seed("bert-tiny", 2, KEY, scheme), shapes)
    whole = hashlib.sha256()
    for name, shape in shapes.items():
        assert state[name].dtype == np.float32
        assert state[name].shape == shape
        whole.update(name.encode() + state[name].astype("<f4").tobytes())
    assert whole.hexdigest() == GOLDEN[scheme]


def test_keys_and_tensors_have_streams_of_their_own() -> None:
    assert not np.array_equal(integer_normal(1, "a", 50), integer_normal(2, "a", 50))
    assert not np.array_equal(integer_normal(1, "a", 50), integer_normal(1, "b", 50))


def test_scaled_scheme_shares_one_direction() -> None:
    shapes = architecture("bert-tiny").shapes()
    state = assemble(random_seed("bert-tiny", 2, KEY, "scaled"), shapes)
    words = state["bert.embeddings.word_embeddings.weight"]
    assert words.std() < 0.1 * state["bert.embeddings.token_type_embeddings.weight"].std()
    assert not state["bert.embeddings.position_embeddings.weight"].any()


def test_grown_models_do_not_share_weights() -> None:
    import torch

    encoded = encode(random_seed("bert-tiny", 2, KEY, "bert"))
    first, second = grow(encoded), grow(encoded)
    with torch.no_grad():
        next(first.parameters()).zero_()
    assert next(second.parameters()).abs().sum() > 0
    assert next(grow(encoded).parameters()).abs().sum() > 0


def test_one_tensor_is_that_of_the_whole_and_the_callers_own() -> None:
    encoded = encode(random_seed("bert-tiny", 2, KEY, "bert"))
    name = "bert.pooler.dense.weight"
    alone = grown_tensor(encoded, name)
    assert np.array_equal(alone, to_state(grow(encoded))[name])
    alone[:] = 0
    assert np.abs(grown_tensor(encoded, name)).sum() > 0
