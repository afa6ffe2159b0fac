"""The .fseed format: exact bytes, and nothing malformed gets through."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.errors import SeedError
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import MAGIC, decode, encode, read_seed, write_seed
from fedseed.seeds.kinds.random import random_seed

GOLDEN = Path(__file__).parents[1] / "golden"
EXAMPLE = random_seed("bert-tiny", 2, 0x0123456789ABCDEF, "scaled")


def resealed(body: bytes) -> bytes:
    """Put a correct checksum on altered bytes: only the other checks are left."""
    return body + hashlib.sha256(body).digest()


def test_golden_bytes() -> None:
    expected = bytes.fromhex((GOLDEN / "random.fseed.hex").read_text())
    assert encode(EXAMPLE) == expected
    assert decode(expected) == EXAMPLE


@pytest.mark.parametrize("model", ["bert-tiny", "bert-mini", "bert-small"])
@pytest.mark.parametrize("scheme", ["bert", "scaled"])
def test_a_random_seed_takes_at_most_64_bytes(model: str, scheme: str) -> None:
    assert len(encode(random_seed(model, 255, 2**64 - 1, scheme))) <= 64


@given(
    model=st.text(min_size=1, max_size=60).filter(lambda name: not name.startswith("bert-")),
    labels=st.integers(2, 255),
    payload=st.binary(min_size=40, max_size=40),
)
def test_round_trip_of_other_models(model: str, labels: int, payload: bytes) -> None:
    seed = Seed("pretrained", model, labels, payload)
    assert decode(encode(seed)) == seed


@pytest.mark.parametrize("end", range(len(encode(EXAMPLE))))
def test_truncated(end: int) -> None:
    with pytest.raises(SeedError):
        decode(encode(EXAMPLE)[:end])


@given(place=st.integers(0, len(encode(EXAMPLE)) - 1), flip=st.integers(1, 255))
def test_altered(place: int, flip: int) -> None:
    data = bytearray(encode(EXAMPLE))
    data[place] ^= flip
    with pytest.raises(SeedError):
        decode(bytes(data))


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_hostile_bodies_with_a_correct_checksum(body: bytes) -> None:
    data = resealed(MAGIC + body)
    try:
        seed = decode(data)
    except SeedError:
        return
    assert encode(seed) == data


def test_hostile_length_allocates_nothing() -> None:
    body = encode(EXAMPLE)[:8] + b"\xff\xff\xff\xff\x0f" + bytes(9)
    with pytest.raises(SeedError, match="length"):
        decode(resealed(body))


def test_non_canonical_length() -> None:
    body = encode(EXAMPLE)[:8] + b"\x89\x00" + EXAMPLE.payload
    with pytest.raises(SeedError, match="canonical"):
        decode(resealed(body))


def test_file_round_trip(tmp_path: Path) -> None:
    write_seed(tmp_path / "a.fseed", EXAMPLE)
    assert read_seed(tmp_path / "a.fseed") == EXAMPLE
    assert [path.name for path in tmp_path.iterdir()] == ["a.fseed"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="cannot read"):
        read_seed(tmp_path / "none.fseed")


@pytest.mark.parametrize(
    ("model", "key", "scheme"),
    [("minilm", 1, "bert"), ("bert-tiny", 1, "best"), ("bert-tiny", 2**64, "bert")],
)
def test_impossible_random_seeds(model: str, key: int, scheme: str) -> None:
    with pytest.raises(SeedError):
        random_seed(model, 2, key, scheme)
