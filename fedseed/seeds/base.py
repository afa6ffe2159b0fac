"""Seed: a few bytes from which a model is assembled."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fedseed.models.architecture import Shapes, State


@dataclass(frozen=True)
class Seed:
    """Kind, architecture and payload; :mod:`fedseed.seeds.codec` turns it into bytes."""

    kind: str
    """Name of a registered kind: ``random``, ``pretrained``."""
    model: str
    """Name of the architecture: registered, or a Hugging Face id or folder."""
    labels: int
    """Number of classes of the head, 2 to 255; 0 of a causal language model."""
    payload: bytes
    """What the kind needs besides; its layout is the kind's own."""


class SeedKind(ABC):
    """One way to describe a model in a few bytes. One file each, registered in codec.py."""

    name: ClassVar[str]
    code: ClassVar[int]
    """The kind's byte in a .fseed file: never reused, never changed."""

    @abstractmethod
    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """Return all weights.

        Args:
            seed: a seed of this kind.
            shapes: name and shape of every parameter of the seed's architecture.

        Raises:
            SeedError: the payload is malformed or does not fit the architecture.
        """

    @abstractmethod
    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:
        """Bytes of the payload's parts, by the tensor's name or what they are.

        They add up to the payload's length, but for at most eight bytes of rounding in entropy
        coding.

        Raises:
            SeedError: see :meth:`assemble`.
        """

    def expected_errors(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """Relative reconstruction errors that the payload itself tells, by the tensor's name."""
        return {}

    @abstractmethod
    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """Return what the payload says, for people.

        Raises:
            SeedError: the payload is malformed.
        """


def digest(encoded: bytes) -> bytes:
    """sha256 of an encoded seed: what later rounds send instead of the seed."""
    return hashlib.sha256(encoded).digest()
