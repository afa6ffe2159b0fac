"""Models of which a few numbers are trained: factors of changes, and parameters that go whole."""

from fedseed.training.subspace.low_rank import LowRank
from fedseed.training.subspace.model import SubspaceModel

__all__ = ["LowRank", "SubspaceModel"]
