"""Packages: what is written is read back, and nothing else is believed."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.errors import SeedError
from fedseed.recipe import Recipe
from fedseed.seeds.codec import encode, read_seed
from fedseed.seeds.kinds.random import random_seed
from fedseed.seeds.package import (
    Known,
    Package,
    PackageCard,
    decode_package,
    encode_package,
    read_package,
    write_package,
)

SEED = encode(random_seed("bert-tiny", 2, 5, "scaled"))
CARD = PackageCard(
    name="reviews", classes=("negative", "positive"), made_of="bundled", protocol="recipe",
    clients=10, rounds=3, notes=("a note",), privacy="epsilon 4", fedseed="0.1.0",
    accuracy=Known(value=0.84, ci95=(0.82, 0.86), n=4980, majority_baseline=0.501),
)  # fmt: skip
PACKAGE = Package(SEED, Recipe(steps=7), CARD)
DATA = encode_package(PACKAGE)


def test_it_is_read_back() -> None:
    assert decode_package(DATA) == PACKAGE
    assert len(DATA) < len(SEED) + 400


def test_its_file_is_taken_for_its_seed(tmp_path: Path) -> None:
    path = tmp_path / "p.fseed"
    assert write_package(path, PACKAGE) == path.stat().st_size
    assert read_package(path) == PACKAGE
    assert encode(read_seed(path)) == SEED


@settings(max_examples=300)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_an_altered_byte_is_found(place: int, change: int) -> None:
    data = bytearray(DATA)
    data[place] ^= change
    with pytest.raises(SeedError):
        decode_package(bytes(data))


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, len(DATA)))
def test_other_bodies_under_a_right_checksum(tail: bytes, cut: int) -> None:
    """Whoever makes a package can make its checksum too."""
    import hashlib

    body = DATA[:cut] + tail
    whole = body + hashlib.sha256(body).digest()[:8]
    try:
        decode_package(whole)
    except SeedError:
        return
    assert whole[4] == 1


def test_a_bomb_is_refused() -> None:
    """A card that would unpack to megabytes is not unpacked."""
    import hashlib
    import struct
    import zlib

    packed = zlib.compress(b'{"name":"' + b"a" * 50_000_000 + b'"}', 9)
    body = b"FPKG\x01" + struct.pack("<I", len(SEED)) + SEED + Recipe().encode()
    body += struct.pack("<I", len(packed)) + packed
    with pytest.raises(SeedError, match="too long"):
        decode_package(body + hashlib.sha256(body).digest()[:8])


@pytest.mark.parametrize(
    "change",
    [{"classes": ("a",)}, {"classes": ("a", "a")}, {"name": ""}, {"name": "a\nb"},
     {"notes": ("\x1b[31m",)}, {"clients": -1}],
)  # fmt: skip
def test_impossible_cards(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        PackageCard.model_validate(CARD.model_dump() | change)


@pytest.mark.parametrize("content", [b"", b"FSED and so on", b"FPKG"])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SeedError, match="package"):
        read_package(tmp_path / "a")
