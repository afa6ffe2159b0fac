"""What travels under the ``adapters`` protocol: which factors of a model, and in which order."""

import functools
import struct
from dataclasses import dataclass

import numpy as np

from fedseed.coding.codecs import CODECS, Codec, codec_of
from fedseed.coding.vectors import Parts, Vector, believable
from fedseed.errors import ConfigError, WireError
from fedseed.models.architecture import Shapes, State
from fedseed.models.roles import TARGETS, Target, head_of, matrices_of
from fedseed.seeds.assemble import grown_tensor, shapes_of
from fedseed.seeds.base import key_of
from fedseed.seeds.prng import normal

KINDS = ("ffa", "lora")
"""In the order of their numbers on the wire."""
ALPHA = 8.0
"""The product of the factors is scaled by this over the rank."""
LARGEST_RANK = 256
_HEAD = "<HBB"
HEAD_BYTES = struct.calcsize(_HEAD)
_CODES = [CODECS.index(name) for name in ("fp32", "int8", "int4", "int3")]
ROWS, COLUMNS = "/rows", "/columns"
"""What the names of B and of A have after the matrix' name."""


@dataclass(frozen=True)
class Layout:
    """What travels of a model, and in which order."""

    rank: int
    kind: str
    """One of :data:`KINDS`."""
    target: Target
    matrices: Shapes
    """Matrices that have factors; the others are frozen."""
    whole: Shapes
    """The head's parameters, which travel as they are."""

    @classmethod
    def of(cls, shapes: Shapes, rank: int, kind: str, target: Target = "all") -> "Layout":
        """Choose by the names and shapes of a model's parameters, in the architecture's order.

        Raises:
            ConfigError: the model has no matrix of that name.
        """
        matrices = matrices_of(shapes, target)
        if not matrices and target != "head":
            raise ConfigError(f"--target {target}: the model has no such matrix; give all")
        return cls(rank, kind, target, matrices, head_of(shapes))

    @functools.cached_property
    def parts(self) -> Parts:
        """Everything that travels, in order."""
        shapes: Shapes = {}
        for name, (rows, columns) in self.matrices.items():
            shapes[name + ROWS] = rows, self.rank
            if self.kind == "lora":
                shapes[name + COLUMNS] = self.rank, columns
        return Parts(shapes | self.whole)

    def head(self, codec: Codec) -> bytes:
        """The first bytes of a body that goes down."""
        number = KINDS.index(self.kind) + len(KINDS) * TARGETS.index(self.target)
        return struct.pack(_HEAD, self.rank, number, codec.number)

    def start(self, seed: bytes) -> Vector:
        """The vector that stands for the seed's own model."""
        parts: State = {name: grown_tensor(seed, name) for name in self.whole}
        drawn = self.drawn(seed)
        zeros = {name: np.zeros(shape, np.float32) for name, shape in self.parts.shapes.items()}
        return self.parts.join(zeros | parts | drawn)

    def drawn(self, seed: bytes) -> State:
        """Every matrix' A as the seed gives it, by the part's name.

        The generator's key is of the seed's bytes, since not every kind of seed has one.
        """
        key, drawn = key_of(seed), {}
        for name, (_, columns) in self.matrices.items():
            std = 1 / np.sqrt(columns)
            drawn[name + COLUMNS] = normal(key, f"{name}/adapter", (self.rank, columns), std)
        return drawn


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
        SeedError, ConfigError: the seed cannot be used.
    """
    if len(body) < HEAD_BYTES:
        raise WireError("the download names no adapters")
    rank, number, code = struct.unpack_from(_HEAD, body)
    target, kind = divmod(number, len(KINDS))
    if not 0 < rank <= LARGEST_RANK or target >= len(TARGETS) or code not in _CODES:
        raise WireError(f"adapters of rank {rank}, kind {number} and codec {code} are not known")
    layout, coded = _layout(shapes_of(seed), rank, kind, target), body[HEAD_BYTES:]
    codec = codec_of(code, 1.0)
    if not coded:
        return layout, codec, layout.start(seed)
    values = codec.down.decode(coded, layout.parts.sizes)
    if codec.sends_changes:
        values = believable(layout.start(seed) + values)
    return layout, codec, values
