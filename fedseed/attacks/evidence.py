"""Evidence: what one observer has computed of several runs of a row, and the truth to judge it by.

Every run is the target once, and the others are the attacker's shadow runs, whose partitions it
made itself. The target's own partition is used to judge the guesses, and for nothing else.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Owners = NDArray[np.int64]
"""Which client holds each candidate text, -1 for nobody; shape ``(candidates,)``."""


@dataclass(frozen=True)
class Evidence:
    """Of one observer, and of one row of the comparison."""

    observer: str
    """One of :data:`fedseed.attacks.observer.OBSERVERS`."""
    runs: Sequence[Mapping[str, Any]]
    """What was computed of each run, as JSON; which keys there are depends on the attack."""
    owners: Sequence[Owners] = ()
    """Who held the candidates in each run, for membership inference."""
    canary_repeats: Sequence[int] = ()
    """How often the canaries of a client stood in its texts, in turn."""

    @property
    def one_client_alone(self) -> bool:
        """Whether the observer sees the replies of client 0 and of no other."""
        return self.observer == "eavesdropper"


def pack(numbers: Floats) -> str:
    """Numbers as text: base64 of little-endian fp32."""
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def unpack(text: str) -> Floats:
    """Numbers of :func:`pack`, shape ``(numbers,)``."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
