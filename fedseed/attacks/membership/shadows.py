"""What shadow models, which the attacker trained itself, say about the candidates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats

ENOUGH_SHADOWS = 64
"""Shadow models of a kind from which LiRA estimates a variance for each candidate."""
_LEAST_DEVIATION = 1e-6
"""Least standard deviation, relative to that of all signals: keeps scores finite."""


@dataclass(frozen=True)
class Shadows:
    """What shadow models say about the candidates."""

    signals: Floats
    """Statistic of each candidate under each shadow model, for example its logit-scaled
    confidence; shape ``(shadow models, candidates)``."""
    members: NDArray[np.bool_]
    """Whether the shadow model was trained on the candidate; same shape."""

    def __post_init__(self) -> None:
        if self.signals.ndim != 2 or self.signals.shape != self.members.shape:
            raise ValueError("signals and members need one shape: (shadow models, candidates)")

    @property
    def counts(self) -> tuple[Floats, Floats]:
        """Shadow models trained with, and without, each candidate; shapes ``(candidates,)``."""
        inside = self.members.sum(axis=0).astype(np.float64)
        return inside, len(self.members) - inside

    def means(self) -> tuple[Floats, Floats]:
        """Mean signal of shadow models trained with, and without, each candidate.

        0 where there is none: see :attr:`counts`.
        """
        inside, outside = self.counts
        total_in = np.where(self.members, self.signals, 0.0).sum(axis=0)
        total_out = np.where(self.members, 0.0, self.signals).sum(axis=0)
        return total_in / np.maximum(inside, 1.0), total_out / np.maximum(outside, 1.0)

    def deviations(self) -> tuple[Floats, Floats]:
        """Standard deviations around :meth:`means`, both of shape ``(candidates,)``.

        A candidate with at least ``ENOUGH_SHADOWS`` of a kind has its own; the others share one,
        pooled over all candidates (Carlini et al. 2022, sec. VI: from few shadow models a global
        variance attacks better than many noisy ones).
        """
        least = _LEAST_DEVIATION * float(self.signals.std()) or _LEAST_DEVIATION
        pairs = zip((self.members, ~self.members), self.counts, self.means(), strict=True)
        deviations = []
        for of_kind, counts, means in pairs:
            squares = (np.where(of_kind, self.signals - means, 0.0) ** 2).sum(axis=0)
            freedom = np.maximum(counts - 1.0, 0.0)
            pooled = squares.sum() / max(freedom.sum(), 1.0)
            single = squares / np.maximum(freedom, 1.0)
            chosen = np.where(counts >= ENOUGH_SHADOWS, single, pooled)
            deviations.append(np.maximum(np.sqrt(chosen), least))
        return deviations[0], deviations[1]
