"""Seed: a few bytes from which a model is assembled."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedseed.errors import SeedError
from fedseed.models.architecture import Floats, Shapes, State


@dataclass(frozen=True)
class Seed:
    """Kind, architecture and payload; :mod:`fedseed.seeds.codec` turns it into bytes."""

    kind: str
    """Name of a kind, such as ``random``; see :mod:`fedseed.seeds.registry`."""
    model: str
    """Name of the architecture: registered, or a Hugging Face id or folder."""
    labels: int
    """Number of classes of the head, 2 to 255; 0 of a causal language model."""
    payload: bytes
    """What the kind needs besides; its layout is the kind's own."""


def check_weights(weights: Mapping[str, Floats], shapes: Shapes) -> State:
    """Return the weights that an architecture names, in its order.

    Args:
        weights: tensors by name; further ones are left out.
        shapes: name and shape of every parameter of the architecture.

    Raises:
        SeedError: a tensor is missing, has another shape, or holds NaN or infinity.
    """
    state: State = {}
    for name, shape in shapes.items():
        if name not in weights:
            raise SeedError(f"the weights lack {name}: they are of another architecture")
        values = np.asarray(weights[name], dtype=np.float32)
        if values.shape != shape:
            raise SeedError(
                f"{name} has shape {values.shape}, not {shape}: the weights are of another "
                "architecture or number of classes"
            )
        if not np.isfinite(values).all():
            raise SeedError(f"{name} holds NaN or infinity: give weights that were saved whole")
        state[name] = values
    return state


@dataclass(frozen=True)
class Material:
    """What a seed is made of."""

    model: str
    """The architecture's name."""
    labels: int
    """Number of classes; 0 of a causal language model."""
    shapes: Shapes
    """Name and shape of every parameter."""
    key: int
    """Of everything that is drawn, in [0, 2**64)."""
    options: Any
    """The kind's, see :class:`fedseed.seeds.description.SeedKind`."""
    weights: Mapping[str, Floats] | None = None
    """The model's weights by name, for kinds that are extracted from them."""
    extract: Any = None
    """What was extracted from labelled texts, for kinds that are made of them."""

    def state(self) -> State:
        """The weights that the architecture names, in its order.

        Raises:
            SeedError: there are no weights, a tensor is missing, has another shape, or holds NaN
                or infinity.
        """
        if self.weights is None:
            raise SeedError(f"this seed is extracted from weights: give those of {self.model}")
        return check_weights(self.weights, self.shapes)


class SeedFormat(ABC):
    """How seeds of one kind are made, and how their payloads are read."""

    @abstractmethod
    def make(self, material: Material) -> Seed:
        """Make a seed: extract it from weights, draw it from a key, or name published weights.

        Raises:
            SeedError: no seed of this kind can be made of it.
            ConfigError: the model cannot be found.
        """

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
        """Relative reconstruction errors that the payload itself states, by the tensor's name."""
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


def key_of(encoded: bytes, length: int = 8) -> int:
    """A key that every holder of an encoded seed has, whatever the seed's kind.

    Args:
        encoded: the seed.
        length: bytes of the key, at most 32: the first of the seed's sha256, little-endian.
    """
    return int.from_bytes(digest(encoded)[:length], "little")
