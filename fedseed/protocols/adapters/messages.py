"""What travels under the ``adapters`` protocol: which factors of a model, and in which order."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.coding.codecs import CODECS, Codec, codec_of
from fedseed.coding.vectors import Vector, believable
from fedseed.errors import ConfigError, WireError
from fedseed.models.architecture import Shapes, State
from fedseed.models.registry import to_state
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import key_of
from fedseed.seeds.prng import normal

KINDS, TARGETS = ("ffa", "lora", "core"), ("all", "encoder", "attention")
"""Adapter kinds, and which matrices have factors, in the order of their numbers on the wire."""
ALPHA = 8.0
"""The product of the factors is scaled by this over the rank."""
LARGEST_RANK = 256
_HEAD = "<HBB"
HEAD_BYTES = struct.calcsize(_HEAD)
_HEADS = ("classifier", "pre_classifier", "score", "classification_head", "logits_proj")
"""First part of the names of a classification head, in the lean BERT and Hugging Face's models."""
_NOT_ADAPTED = ("position", "token_type", "wpe")
_EMBEDDINGS = ("embed", "wte.")
_CODES = [CODECS.index(name) for name in ("fp32", "int8", "int4")]
_ATTENTION = re.compile(r"attention|attn|\b[qkvo](uery|ey|alue)?(_lin|_proj|ut_lin)?\.weight$")
"""Parts of the names of matrices, in the lean BERT and Hugging Face's models."""
ROWS, COLUMNS, CORE = "/rows", "/columns", "/core"
"""What the names of B, of A and of a core have after the matrix' name."""


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
            and _is_of(name, "encoder" if (kind, target) == ("core", "all") else target)
        }
        if not matrices:
            raise ConfigError(f"--target {target}: the model has no such matrix; give all")
        return cls(rank, kind, target, matrices, whole)

    @property
    def parts(self) -> Shapes:
        """Name and shape of everything that travels, in order."""
        shapes: Shapes = {}
        for name, (rows, columns) in self.matrices.items():
            if self.kind == "core":
                shapes[name + CORE] = self.rank, self.rank
                continue
            shapes[name + ROWS] = rows, self.rank
            if self.kind == "lora":
                shapes[name + COLUMNS] = self.rank, columns
        return shapes | self.whole

    @property
    def size(self) -> int:
        """Numbers that travel."""
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """Numbers in each part."""
        return [int(np.prod(shape)) for shape in self.parts.values()]

    def head(self, codec: Codec) -> bytes:
        """The first bytes of a body that goes down."""
        number = KINDS.index(self.kind) + len(KINDS) * TARGETS.index(self.target)
        return struct.pack(_HEAD, self.rank, number, codec.number)

    def split(self, vector: Vector) -> State:
        """The parts of a vector, by name."""
        shapes = self.parts
        pieces = np.split(vector, np.cumsum(self.sizes)[:-1])
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
        drawn = self.drawn(seed)
        zeros = {n: np.zeros(s, np.float32) for n, s in self.parts.items() if n not in parts}
        return self.join(zeros | parts | drawn)

    def drawn(self, seed: bytes) -> State:
        """Every matrix' A as the seed gives it, by the part's name; for a core B as well.

        The generator's key is of the seed's bytes, since not every kind of seed has one.
        """
        key, drawn = key_of(seed), {}
        for name, (rows, columns) in self.matrices.items():
            std = 1 / np.sqrt(columns)
            drawn[name + COLUMNS] = normal(key, f"{name}/adapter", (self.rank, columns), std)
            if self.kind == "core":
                std = 1 / np.sqrt(rows)
                drawn[name + ROWS] = normal(key, f"{name}/adapter rows", (rows, self.rank), std)
        return drawn


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


def read_download(seed: bytes, body: bytes) -> tuple[Layout, Codec, Vector]:
    """What travels, how, and the server's values.

    Raises:
        WireError: malformed bytes, or values that cannot be believed.
    """
    if len(body) < HEAD_BYTES:
        raise WireError("the download names no adapters")
    rank, number, code = struct.unpack_from(_HEAD, body)
    target, kind = divmod(number, len(KINDS))
    if not 0 < rank <= LARGEST_RANK or target >= len(TARGETS) or code not in _CODES:
        raise WireError(f"adapters of rank {rank}, kind {number} and codec {code} are not known")
    shapes = {name: tuple(part.shape) for name, part in grow(seed).named_parameters()}
    layout, coded = _layout(shapes, rank, kind, target), body[HEAD_BYTES:]
    codec, start = codec_of(code, 1.0), layout.start(seed)
    if not coded:
        return layout, codec, start
    values = codec.down.decode(coded, layout.sizes)
    return layout, codec, believable(start + values) if codec.sends_changes else values
