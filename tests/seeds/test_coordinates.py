"""The coordinates seed: exact weights, and nothing malformed gets through."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.coding.codecs import make_codec
from fedseed.errors import SeedError
from fedseed.models.architecture import architecture
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, decode, encode, sizes
from fedseed.seeds.kinds.coordinates.format import Coded, coordinates_seed
from fedseed.seeds.kinds.coordinates.space import Space
from fedseed.seeds.kinds.random import random_seed
from fedseed.seeds.make import make_seed

GOLDEN = Path(__file__).parents[1] / "golden" / "coordinates.json"
SHAPES = architecture("bert-tiny").shapes()
START = random_seed("bert-tiny", 2, 7, "scaled")
SPACE = Space.of(SHAPES, 3)
INT8 = make_codec("int8", 1.0)


def made_up() -> Seed:
    """A seed of numbers that are exact in int8: no machine rounds them differently."""
    levels = np.arange(SPACE.parts.size) % 255 - 127
    vector = (levels / 1024).astype(np.float32)
    return coordinates_seed(START, Coded(3, INT8, INT8.encode(vector, SPACE.parts.sizes)))


def test_golden_bytes_and_weights() -> None:
    """The same bytes on every machine, and the same weights but for a sum's last digit."""
    expected = json.loads(GOLDEN.read_text())
    encoded = encode(made_up())
    assert hashlib.sha256(encoded).hexdigest() == expected["sha256"]
    state = assemble(decode(encoded), SHAPES)
    for name, values in expected["first"].items():
        assert np.allclose(state[name].ravel()[:3], values, rtol=1e-5), name


def test_it_is_the_start_moved() -> None:
    start, moved = assemble(START, SHAPES), assemble(made_up(), SHAPES)
    changed = {name for name in SHAPES if not np.array_equal(start[name], moved[name])}
    assert changed == {*SPACE.matrices, *SPACE.head}
    assert "bert.embeddings.word_embeddings.weight" not in changed


def test_sizes_add_up() -> None:
    seed = made_up()
    parts = sizes(seed, SHAPES)
    assert sum(parts.values()) == len(encode(seed))
    assert parts["coordinates"] > parts["key"]


@pytest.mark.parametrize("place", ["head", "start", "numbers"])
def test_truncated(place: str) -> None:
    payload = made_up().payload
    end = {"head": 5, "start": 12, "numbers": len(payload) - 4}[place]
    with pytest.raises(SeedError, match=r"truncated|damaged"):
        assemble(Seed("coordinates", "bert-tiny", 2, payload[:end]), SHAPES)


def test_no_coordinates_of_coordinates() -> None:
    seed = made_up()
    with pytest.raises(SeedError, match="another kind"):
        coordinates_seed(seed, Coded(3, INT8, b""))
    nested = struct.pack("<HBBI", 3, 2, 8, len(seed.payload)) + seed.payload
    with pytest.raises(SeedError, match="another kind"):
        assemble(Seed("coordinates", "bert-tiny", 2, nested), SHAPES)


def test_unknown_codecs() -> None:
    payload = bytearray(made_up().payload)
    payload[2] = 3
    with pytest.raises(SeedError, match="codec 3"):
        decode(encode(Seed("coordinates", "bert-tiny", 2, bytes(payload))))


@pytest.mark.parametrize("rank", [0, 257, 65_535])
def test_impossible_ranks(rank: int) -> None:
    payload = struct.pack("<H", rank) + made_up().payload[2:]
    with pytest.raises(SeedError, match="rank"):
        assemble(Seed("coordinates", "bert-tiny", 2, payload), SHAPES)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, len(made_up().payload) - 1), byte=st.integers(0, 255))
def test_hostile_bytes_give_a_seed_error_or_finite_weights(place: int, byte: int) -> None:
    payload = bytearray(made_up().payload)
    payload[place] = byte
    try:
        state = assemble(
            decode(encode(Seed("coordinates", "bert-tiny", 2, bytes(payload)))), SHAPES
        )
    except SeedError:
        return
    assert all(np.isfinite(part).all() for part in state.values())


def test_nothing_else_makes_one() -> None:
    with pytest.raises(SeedError, match="--protocol coordinates"):
        make_seed("coordinates", "bert-tiny", 2, 1)
