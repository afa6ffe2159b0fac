"""Models of which a few numbers are trained: factors of changes, and parameters that go whole."""

from fedseed.training.subspace.low_rank import Change, Core, LowRank
from fedseed.training.subspace.model import SubspaceModel

__all__ = ["Change", "Core", "LowRank", "SubspaceModel"]
