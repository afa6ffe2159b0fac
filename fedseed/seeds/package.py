"""A package: a seed, the recipe to train it with, names of classes, and what is known of it.

One file of a few kilobytes, from which somebody who has texts makes a model. Layout: ``FPKG``, a
version byte, the seed's length (4 bytes, little-endian) and its bytes as in a ``.fseed`` file, the
recipe's canonical bytes, the length of the rest (4 bytes) and the rest as JSON packed by zlib, and
the first 8 bytes of the sha256 of all that.
"""

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fedseed.errors import SeedError, WireError
from fedseed.files import write_bytes
from fedseed.recipe import RECIPE_BYTES, Recipe
from fedseed.validation import first_problem

MAGIC = b"FPKG"
_VERSION = 1
_LENGTH = "<I"
_CHECKSUM = 8
_MOST_ABOUT = 1 << 16
"""Bytes of what is said of a package, unpacked."""
_LARGEST = (1 << 28) + (1 << 20)
"""Bytes of a file."""


class Known(BaseModel):
    """An accuracy as a package tells it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float = Field(ge=0, le=1)
    ci95: tuple[float, float]
    n: int = Field(gt=0)
    majority_baseline: float = Field(ge=0, le=1)


class PackageCard(BaseModel):
    """What a package says of itself; all of it is text and numbers of whoever made it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=60)
    classes: tuple[str, ...] = Field(min_length=2, max_length=255)
    """Names by class number."""
    made_of: str = Field("", max_length=200)
    """The data, as the record of the run calls them."""
    protocol: str = Field("", max_length=60)
    clients: int = Field(0, ge=0)
    rounds: int = Field(0, ge=0)
    accuracy: Known | None = None
    """Of the assembled seed before any training, on the test texts of the run."""
    privacy: str = Field("", max_length=400)
    """What protects the texts that it was made of, in words; empty without protection."""
    notes: tuple[str, ...] = Field((), max_length=8)
    fedseed: str = Field("", max_length=40)
    """The version that made it."""

    @field_validator("name", "made_of", "protocol", "privacy", "fedseed", "classes", "notes")
    @classmethod
    def _can_be_shown(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        words = (value,) if isinstance(value, str) else value
        if any(len(word) > 400 or not (word + " ").isprintable() for word in words):
            raise ValueError("give printable letters, at most 400")
        return value

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Make a card.

        Raises:
            SeedError: a value that a package does not hold; it is not quoted.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise SeedError(
                f"the {name} of the package: too long, empty, or letters that cannot be shown: "
                f"{'give another --name' if name == 'name' else 'rename them in the data'}"
            ) from error

    @field_validator("classes")
    @classmethod
    def _are_different(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes) or not all(classes):
            raise ValueError("each class needs a name of its own")
        return classes


@dataclass(frozen=True)
class Package:
    """What a package's file holds."""

    seed: bytes
    """An encoded seed; :func:`fedseed.seeds.codec.decode` checks it."""
    recipe: Recipe
    """How to train the assembled model on texts of one's own."""
    card: PackageCard


def encode_package(package: Package) -> bytes:
    """The bytes of a package's file.

    Raises:
        SeedError: more is said of it than a package holds.
    """
    about = package.card.model_dump_json(exclude_defaults=True).encode()
    if len(about) > _MOST_ABOUT:
        raise SeedError(f"a package's card has at most {_MOST_ABOUT:,} bytes: shorten it")
    packed = zlib.compress(about, 9)
    body = MAGIC + bytes([_VERSION]) + struct.pack(_LENGTH, len(package.seed)) + package.seed
    body += package.recipe.encode() + struct.pack(_LENGTH, len(packed)) + packed
    return body + hashlib.sha256(body).digest()[:_CHECKSUM]


def decode_package(data: bytes) -> Package:
    """Read a package's bytes; its seed is not looked into.

    Raises:
        SeedError: truncated, altered, of another version, or impossible.
    """
    body, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
    if data[: len(MAGIC)] != MAGIC:
        raise SeedError("these bytes are no package (they do not start with FPKG)")
    if len(body) <= len(MAGIC) or hashlib.sha256(body).digest()[:_CHECKSUM] != checksum:
        raise SeedError("the package is truncated or altered (its checksum does not fit)")
    if body[len(MAGIC)] != _VERSION:
        raise SeedError(
            f"the package has version {body[len(MAGIC)]}, this program reads {_VERSION}"
        )
    seed, place = _sized(body, len(MAGIC) + 1)
    recipe, place = body[place : place + RECIPE_BYTES], place + RECIPE_BYTES
    packed, place = _sized(body, place)
    if place != len(body):
        raise SeedError("the package's lengths do not fit")
    try:
        return Package(seed, Recipe.decode(recipe), _card(packed))
    except WireError as error:
        raise SeedError(f"the package's recipe: {error}") from error


def _sized(body: bytes, place: int) -> tuple[bytes, int]:
    start = place + struct.calcsize(_LENGTH)
    if start > len(body):
        raise SeedError("the package is truncated")
    end = start + struct.unpack_from(_LENGTH, body, place)[0]
    if end > len(body):
        raise SeedError("the package is truncated")
    return body[start:end], end


def _card(packed: bytes) -> PackageCard:
    unpacking = zlib.decompressobj()
    try:
        about = unpacking.decompress(packed, _MOST_ABOUT)
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise SeedError("the package's card is too long, or cut off")
        return PackageCard.model_validate(json.loads(about))
    except (zlib.error, ValueError, RecursionError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else "no JSON"
        raise SeedError(f"the package's card cannot be read: {problem}") from error


def write_package(path: Path, package: Package) -> int:
    """Write a package's file, whole or not at all; returns its bytes."""
    data = encode_package(package)
    write_bytes(path, data)
    return len(data)


def is_package(path: Path) -> bool:
    """Whether a file begins as a package does; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_package(path: Path) -> Package:
    """Read a package's file.

    Raises:
        SeedError: it cannot be read, or is no package.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise SeedError(f"{path} is too large to be a package: give a file of fedseed package")
        data = path.read_bytes()
    except OSError as error:
        raise SeedError(f"cannot read the package {path}: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise SeedError(f"{path} is no package: make one with fedseed package RUN --out FILE")
    try:
        return decode_package(data)
    except SeedError as error:
        raise SeedError(f"{path}: {error}; fetch it again") from error
