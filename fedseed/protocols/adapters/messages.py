"""What travels under the ``adapters`` protocol: which factors of a model, and in which order."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import ConfigError, WireError
from fedseed.models.architecture import Shapes, State
from fedseed.models.registry import to_state
from fedseed.protocols.vectors import Vector, believable
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import key_of
from fedseed.seeds.prng import normal

KINDS, TARGETS = ("ffa", "lora"), ("all", "encoder", "attention")
"""Adapter kinds, and which matrices have factors, in the order of their numbers on the wire."""
ALPHA = 8.0
"""The product of the factors is scaled by this over the rank."""
LARGEST_RANK = 256
_HEAD = "<HB"
HEAD_BYTES = struct.calcsize(_HEAD)
_HEADS = ("classifier", "pre_classifier", "score", "classification_head", "logits_proj")
"""First part of the names of a classification head, in the lean BERT and Hugging Face's models."""
_NOT_ADAPTED = ("position", "token_type", "wpe")
_EMBEDDINGS = ("embed", "wte.")
_ATTENTION = re.compile(r"attention|attn|\b[qkvo](uery|ey|alue)?(_lin|_proj|ut_lin)?\.weight$")
"""Parts of the names of matrices, in the lean BERT and Hugging Face's models."""
ROWS, COLUMNS = "/rows", "/columns"
"""What the names of B and of A have after the matrix' name."""


@dataclass(frozen=True)
class Layout:
    """What travels of a model, and in which order."""

    rank: int
    kind: str
    """One of :data:`KINDS`."""
    target: str
    """One of :data:`TARGETS`."""
    matrices: Shapes
    """Matrices that have factors; the others are frozen."""
    whole: Shapes
    """The head's parameters, which travel as they are."""

    @classmethod
    def of(cls, shapes: Shapes, rank: int, kind: str, target: str = "all") -> "Layout":
        """Choose by the names and shapes of a model's parameters, in the architecture's order.

        Raises:
            ConfigError: the model has no matrix of that name.
        """
        whole = {n: shape for n, shape in shapes.items() if n.partition(".")[0] in _HEADS}
        matrices: Shapes = {
            name: shape
            for name, shape in shapes.items()
            if len(shape) == 2
            and name.endswith("weight")
            and name not in whole
            and not any(word in name for word in _NOT_ADAPTED)
            and _is_of(name, target)
        }
        if not matrices:
            raise ConfigError(f"--target {target}: the model has no such matrix; give all")
        return cls(rank, kind, target, matrices, whole)

    @property
    def parts(self) -> Shapes:
        """Name and shape of everything that travels, in order."""
        shapes: Shapes = {}
        for name, (rows, columns) in self.matrices.items():
            shapes[name + ROWS] = rows, self.rank
            if self.kind == "lora":
                shapes[name + COLUMNS] = self.rank, columns
        return shapes | self.whole

    @property
    def size(self) -> int:
        """Numbers that travel."""
        return sum(int(np.prod(shape)) for shape in self.parts.values())

    @property
    def head(self) -> bytes:
        """The first bytes of a body that goes down."""
        number = KINDS.index(self.kind) + len(KINDS) * TARGETS.index(self.target)
        return struct.pack(_HEAD, self.rank, number)

    def split(self, vector: Vector) -> State:
        """The parts of a vector, by name."""
        shapes = self.parts
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        pieces = np.split(vector, ends[:-1])
        return {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    def join(self, parts: Mapping[str, NDArray[Any]]) -> Vector:
        """The vector of some parts."""
        pieces = [np.asarray(parts[name], dtype=np.float32).ravel() for name in self.parts]
        return np.concatenate(pieces)

    def start(self, seed: bytes) -> Vector:
        """The vector that stands for the seed's own model."""
        weights = to_state(grow(seed))
        parts: State = {name: weights[name] for name in self.whole}
        for name, (rows, _) in self.matrices.items():
            parts[name + ROWS] = np.zeros((rows, self.rank), dtype=np.float32)
        return self.join(parts | self.drawn(seed))

    def drawn(self, seed: bytes) -> State:
        """Every matrix' A as the seed gives it, by the part's name.

        The generator's key is of the seed's bytes, since not every kind of seed has one.
        """
        key = key_of(seed)
        return {
            name + COLUMNS: normal(
                key, f"{name}/adapter", (self.rank, columns), 1 / np.sqrt(columns)
            )
            for name, (_, columns) in self.matrices.items()
        }

    def read(self, data: bytes) -> Vector:
        """Read the values of a body.

        Raises:
            WireError: another number of values, or values that cannot be believed.
        """
        if len(data) != 4 * self.size:
            raise WireError(f"{len(data)} bytes are not {self.size} values of adapters")
        return believable(np.frombuffer(data, "<f4"))


def _is_of(name: str, target: str) -> bool:
    if target == "attention":
        return _ATTENTION.search(name) is not None
    return target == "all" or not any(word in name for word in _EMBEDDINGS)


def _layout(shapes: Shapes, rank: int, kind: int, target: int) -> Layout:
    """What a server has named by numbers."""
    try:
        return Layout.of(shapes, rank, KINDS[kind], TARGETS[target])
    except ConfigError as error:
        raise WireError(str(error)) from error


def read_download(seed: bytes, body: bytes) -> tuple[Layout, Vector]:
    """What travels, and the server's values.

    Raises:
        WireError: malformed bytes, or values that cannot be believed.
    """
    if len(body) < HEAD_BYTES:
        raise WireError("the download names no adapters")
    rank, number = struct.unpack_from(_HEAD, body)
    target, kind = divmod(number, len(KINDS))
    if not 0 < rank <= LARGEST_RANK or target >= len(TARGETS):
        raise WireError(f"adapters of rank {rank} and kind {number} are not known")
    shapes = {name: tuple(part.shape) for name, part in grow(seed).named_parameters()}
    layout, values = _layout(shapes, rank, kind, target), body[HEAD_BYTES:]
    return layout, layout.read(values) if values else layout.start(seed)
