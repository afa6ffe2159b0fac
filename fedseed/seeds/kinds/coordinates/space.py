"""The space of the coordinates: a small core for each matrix, between two factors that a key gives.

A matrix W of the encoder or the pooler becomes W + (ALPHA / rank) U C V. U and V are drawn, and
only the core C is trained (LoRA-XS: Balazy et al. 2024, arXiv 2405.17604, whose factors are
singular vectors of W; drawn ones did as well and need no decomposition:
docs/protocols/coordinates.md). The head is trained whole; all else stays as the start seed has it.
What travels are changes, zero at the start.
"""

import functools
from dataclasses import dataclass

import numpy as np

from fedseed.coding.vectors import Parts, Vector
from fedseed.errors import SeedError
from fedseed.models.architecture import Floats, Shapes, State
from fedseed.models.roles import head_of, matrices_of
from fedseed.seeds.kinds.coordinates import LARGEST_RANK
from fedseed.seeds.prng import normal

ALPHA = 128.0
"""The cores' products are scaled by this over the rank: a step of Adam, which moves all numbers of
a core alike, then moves a matrix as far whatever the rank. The factors have columns and rows of
length 1, about."""
_CORE = "/core"


@dataclass(frozen=True)
class Space:
    """Which numbers of a model are trained."""

    rank: int
    """Rows and columns of a core, at most those of its matrix."""
    matrices: Shapes
    """Matrices that have a core."""
    head: Shapes
    """The head's parameters, all of whose numbers are trained."""

    @classmethod
    def of(cls, shapes: Shapes, rank: int) -> "Space":
        """The space of a model's parameters.

        Raises:
            SeedError: the model has no matrix that could have a core, or no such rank.
        """
        if not 0 < rank <= LARGEST_RANK:
            raise SeedError(f"cores of rank {rank}: ranks are 1 to {LARGEST_RANK}")
        matrices = matrices_of(shapes, "encoder")
        if not matrices:
            raise SeedError("coordinates need a model with matrices beside its head")
        return cls(rank, matrices, head_of(shapes))

    @functools.cached_property
    def parts(self) -> Parts:
        """Everything that is trained, in order: cores, then the head's parameters."""
        cores = {name + _CORE: self._core(shape) for name, shape in self.matrices.items()}
        return Parts(cores | self.head)

    @property
    def scale(self) -> float:
        """Of the cores' products."""
        return ALPHA / self.rank

    def _core(self, shape: tuple[int, ...]) -> tuple[int, int]:
        rank = min(self.rank, *shape)
        return rank, rank

    def start(self) -> Vector:
        """The vector of the model that has not moved."""
        return np.zeros(self.parts.size, dtype=np.float32)

    def cores(self, vector: Vector) -> dict[str, Floats]:
        """The matrices' cores, by their names."""
        parts = self.parts.split(vector)
        return {name: parts[name + _CORE] for name in self.matrices}

    def heads(self, vector: Vector) -> dict[str, Floats]:
        """Changes of the head's parameters, by their names."""
        parts = self.parts.split(vector)
        return {name: parts[name] for name in self.head}

    def join(self, cores: State, heads: State) -> Vector:
        """The vector of these."""
        return self.parts.join({name + _CORE: core for name, core in cores.items()} | heads)

    def factors(self, key: int, name: str) -> tuple[Floats, Floats]:
        """U, shape ``(rows, rank)``, and V, shape ``(rank, columns)``, of a matrix."""
        rows, columns = self.matrices[name]
        rank = self._core((rows, columns))[0]
        left = normal(key, f"{name}/left", (rows, rank), 1 / np.sqrt(rows))
        return left, normal(key, f"{name}/right", (rank, columns), 1 / np.sqrt(columns))

    def moved(self, state: State, vector: Vector, key: int) -> State:
        """A model's weights, moved by a vector."""
        moved = dict(state)
        for name, core in self.cores(vector).items():
            left, right = self.factors(key, name)
            product = np.asarray(left @ core @ right, dtype=np.float32)
            moved[name] = state[name] + np.float32(self.scale) * product
        for name, change in self.heads(vector).items():
            moved[name] = state[name] + change
        return moved
