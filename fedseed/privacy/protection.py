"""How differential privacy can protect what a client sends: what a protocol says of itself.

Light to import. :mod:`fedseed.privacy.budget` turns it into noise, rounds and epsilon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["example", "client"]
"""What is protected: one example of a client, or all of them."""


def _one(_: Any) -> int:
    return 1


def _allowed(_: Any, __: Any) -> None:
    """Nothing is refused."""


@dataclass(frozen=True)
class DpSgd:
    """Clients train by DP-SGD (Abadi et al. 2016, arXiv 1607.00133), and send what comes of it."""

    needs_clip: bool = True
    clipped: str = "an example's gradient, such as 1"
    """What the clip is the largest norm of, for messages."""
    refuse: Callable[[Any, Any], None] = _allowed
    """Called with the protocol's options and those of privacy; raises ValueError in one line for
    what does not go together."""


@dataclass(frozen=True)
class GaussianNoise:
    """Clients add Gaussian noise to what they send."""

    on: str
    """What is noised, for messages."""
    sensitivity: float = 1.0
    """In units of the clip, or of a bounded quantity's range."""
    clipped: str = "a client's change, such as 1"
    """What the clip is the largest norm of, for messages."""
    needs_clip: bool = True
    """Whether the quantity has no bound of its own."""
    releases: Callable[[Any], int] = _one
    """Noisy releases of one client in one round, from the protocol's options."""
    refuse: Callable[[Any, Any], None] = _allowed
    """See :class:`DpSgd`."""


@dataclass(frozen=True)
class CountingNoise:
    """Clients add discrete Gaussian noise to whole numbers that are summed.

    Under secure aggregation each adds a share of it, so that the sum of the fewest clients whose
    sum may become known has all of it (Kairouz, Liu and Steinke 2021, arXiv 2102.06387).
    """

    on: str
    """What is noised, for messages."""
    numbers: Callable[[Any], int] | None = None
    """Numbers that the protected unit changes, each by 1 at most, from the protocol's options; None
    where the norm of a client's numbers is at most the clip."""
    clipped: str = "a client's counts, such as 30"
    """What the clip is the largest norm of, for messages."""

    refuse: Callable[[Any, Any], None] = _allowed
    """See :class:`DpSgd`."""

    @property
    def needs_clip(self) -> bool:
        """Whether nothing else bounds the numbers."""
        return self.numbers is None


@dataclass(frozen=True)
class RandomisedResponse:
    """Clients answer by randomised response, once for each public text and round."""

    needs_clip: bool = False
    clipped: str = ""
    refuse: Callable[[Any, Any], None] = _allowed
    """See :class:`DpSgd`."""


Protection = DpSgd | GaussianNoise | CountingNoise | RandomisedResponse
