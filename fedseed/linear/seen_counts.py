"""Counts of words by class as somebody sees them who is not meant to have more."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SeenCounts:
    """Counts of one client, or of several together."""

    tokens: NDArray[np.int64]
    """Words that may be counted, shape ``(words,)``."""
    counts: NDArray[np.int64]
    """Texts of each class that have a word, shape ``(classes, words)``; with noise any number."""
    texts: NDArray[np.int64]
    """Texts of each class, shape ``(classes,)``; with noise any number."""
    noise: float = 0.0
    """Standard deviation of what was added to each number."""

    def plus(self, other: "SeenCounts") -> "SeenCounts":
        """The sum of two clients' counts, as one who sees nothing else has it."""
        return replace(
            self, counts=self.counts + other.counts, texts=self.texts + other.texts,
            noise=float(np.hypot(self.noise, other.noise)),
        )  # fmt: skip
