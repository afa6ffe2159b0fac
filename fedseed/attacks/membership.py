"""Membership inference: whether a text was among those that a client trained on.

Attacks on arrays. An attack sees what the target says about the candidates (``observed``), what
shadow models, which the attacker trained itself, say about them, and on which of them each shadow
model was trained. Every attack returns one finite score a candidate; larger ones speak for
membership. A candidate about which the shadow models say nothing gets the attack's neutral score,
which is named where it is returned, never nan.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ENOUGH_SHADOWS = 64
"""Shadow models of a kind from which LiRA estimates a variance for each candidate."""
FEWEST_SHADOWS = 3
"""Shadow vectors without which a vector says nothing."""
_LOWEST_LOG = -745.0
"""Logarithm of the smallest positive double: stands for the logarithm of 0."""
_LEAST_DEVIATION = 1e-6
"""Floor of standard deviations, relative to that of all signals: keeps scores finite."""
_LEAST_PROBABILITY = 1e-300
_CONSTANT = 1e-12
"""Range, relative to its largest value, below which a feature counts as constant."""
_SHRINKAGE = 0.1
"""Weight of the mean over features in each feature's variance."""
_MOST_DEVIATIONS = 10.0
"""Standardised features are cut to plus or minus this: one wild feature must not decide alone."""


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
        floor = _LEAST_DEVIATION * float(self.signals.std()) or _LEAST_DEVIATION
        pairs = zip((self.members, ~self.members), self.counts, self.means(), strict=True)
        found = []
        for of_kind, counts, means in pairs:
            squares = (np.where(of_kind, self.signals - means, 0.0) ** 2).sum(axis=0)
            freedom = np.maximum(counts - 1.0, 0.0)
            pooled = squares.sum() / max(freedom.sum(), 1.0)
            own = squares / np.maximum(freedom, 1.0)
            chosen = np.where(counts >= ENOUGH_SHADOWS, own, pooled)
            found.append(np.maximum(np.sqrt(chosen), floor))
        return found[0], found[1]


def logit_confidence(log_probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    """Logit-scaled confidence in the true label: log p_y - log(1 - p_y), in nats.

    The statistic that Carlini et al. 2022 (sec. V) model as Gaussian. 1 - p_y is summed over the
    other classes in the log domain, so that confidences next to 1 keep their digits.

    Args:
        log_probabilities: natural logarithms of probabilities, shape ``(candidates, classes)``,
            at least two classes. Unnormalised scores give the same result.
        labels: class numbers, shape ``(candidates,)``.

    Returns:
        Shape ``(candidates,)``.
    """
    from scipy.special import logsumexp

    scores = np.maximum(np.asarray(log_probabilities, dtype=np.float64), _LOWEST_LOG)
    true = np.arange(scores.shape[1]) == np.asarray(labels)[:, None]
    others = logsumexp(np.where(true, -np.inf, scores), axis=1)
    return np.asarray(scores[true] - others, dtype=np.float64)


def loss_threshold(observed: Floats) -> Floats:
    """Baseline without shadow models (Yeom et al. 2018, sec. III): one threshold for everybody.

    Args:
        observed: a statistic that grows as the loss falls, for example the logit-scaled
            confidence or the negative loss, shape ``(candidates,)``.
    """
    return np.array(observed, dtype=np.float64)


def lira_online(observed: Floats, shadows: Shadows) -> Floats:
    """Likelihood ratio attack, online (Carlini et al. 2022, sec. V, algorithm 1).

    Logarithm of N(observed; mean_in, deviation_in) / N(observed; mean_out, deviation_out), in
    nats; for deviations see :meth:`Shadows.deviations`.

    Args:
        observed: the target's signals, shape ``(candidates,)``.
        shadows: the same statistic under shadow models.

    Returns:
        Shape ``(candidates,)``; 0 (neither for nor against) for a candidate that all, or none, of
        the shadow models were trained on.
    """
    (inside, outside), (mean_in, mean_out) = shadows.counts, shadows.means()
    deviation_in, deviation_out = shadows.deviations()
    for_in = -(((observed - mean_in) / deviation_in) ** 2) / 2 - np.log(deviation_in)
    for_out = -(((observed - mean_out) / deviation_out) ** 2) / 2 - np.log(deviation_out)
    return np.where((inside > 0) & (outside > 0), for_in - for_out, 0.0)


def lira_offline(observed: Floats, shadows: Shadows) -> Floats:
    """Likelihood ratio attack, offline (Carlini et al. 2022, sec. V): only shadow models without.

    Logarithm of P(Z <= observed) for Z ~ N(mean_out, deviation_out). It needs no shadow model that
    was trained on a candidate, so the attacker may train them before it has any candidates.

    Returns:
        Shape ``(candidates,)``, at most 0; log(1/2) for a candidate on which all were trained.
    """
    from scipy.special import log_ndtr

    (_, outside), (_, mean_out) = shadows.counts, shadows.means()
    _, deviation_out = shadows.deviations()
    distance = np.where(outside > 0, (observed - mean_out) / deviation_out, 0.0)
    return np.asarray(log_ndtr(distance), dtype=np.float64)


def rmia(
    observed_confidence: Floats,
    population_confidence: Floats,
    shadows: Shadows,
    population_shadows: Floats,
    gamma: float = 1.0,
    offline_a: float | None = None,
) -> Floats:
    """Robust membership inference attack (Zarifzadeh et al. 2024, arXiv 2312.03262, sec. 3).

    The share of population texts z for which (p(x|target) / p(x)) / (p(z|target) / p(z)) is at
    least ``gamma``. Online, p(x) is the mean of the mean over shadow models trained with x and of
    that over those without, and p(z) the mean over all, for none was trained on z. Offline, p is
    ((1 + a) p_out + 1 - a) / 2 for x and z alike (their app. B).

    Args:
        observed_confidence: the target's probabilities p_y of the true labels of the candidates,
            in [0, 1], shape ``(candidates,)``.
        population_confidence: the same for population texts, shape ``(population,)``.
        shadows: probabilities p_y (not logits) of the candidates under shadow models.
        population_shadows: the same for population texts, shape ``(shadow models, population)``.
        gamma: how much more likely a member has to be than a population text, at least 1 by sense.
        offline_a: a, in [0, 1]: attack offline; None attacks online.

    Returns:
        Shape ``(candidates,)``, in [0, 1]. Where a candidate lacks shadow models of a kind, p(x)
        is the mean over those of the other kind.
    """
    (inside, outside), (mean_in, mean_out) = shadows.counts, shadows.means()
    p_in = np.where(inside > 0, mean_in, mean_out)
    p_out = np.where(outside > 0, mean_out, mean_in)
    p_x, p_z = (p_in + p_out) / 2, population_shadows.mean(axis=0)
    if offline_a is not None:
        p_x, p_z = (((1 + offline_a) * p + 1 - offline_a) / 2 for p in (p_out, p_z))
    ratio_x = observed_confidence / np.maximum(p_x, _LEAST_PROBABILITY)
    ratio_z = np.sort(population_confidence / np.maximum(p_z, _LEAST_PROBABILITY))
    beaten = np.searchsorted(ratio_z, ratio_x / gamma, side="right")
    return np.asarray(beaten / len(ratio_z), dtype=np.float64)


def vector_lira(observed: Floats, shadow_vectors: Floats, members: NDArray[np.bool_]) -> Floats:
    """Likelihood ratio attack where only a vector of numbers travels, for example metrics.

    A candidate's score is the log ratio of two Gaussian densities of the observed vector: around
    the mean of shadow vectors made with the candidate, and around the mean of those without. One
    diagonal variance serves all candidates: that within the two groups, averaged over candidates,
    and drawn towards its mean over features. Each squared distance is divided by the variance of
    a new vector around a mean of n, (1 + 1/n) times that of one vector, and the normalising
    constants are left out: else a candidate's number of shadow vectors alone would move its score.

    Args:
        observed: what the target sent, shape ``(features,)``.
        shadow_vectors: what each shadow client would have sent, ``(shadows, features)``.
        members: whether a shadow client had the candidate, ``(shadows, candidates)``.

    Returns:
        Shape ``(candidates,)``, in nats. Features that are the same in all shadow vectors are
        left out. 0 for candidates that all or none of the shadows had, and for everybody with
        fewer than three shadows or no feature left.

    Raises:
        ValueError: the numbers of shadows or features differ.
    """
    shadows, count = len(shadow_vectors), members.sum(axis=0).astype(np.float64)
    if len(members) != shadows or observed.shape != shadow_vectors.shape[1:]:
        raise ValueError("observed, shadow_vectors and members do not fit together")
    judged = (count > 0) & (count < shadows)
    scores = np.zeros(members.shape[1])
    if shadows < FEWEST_SHADOWS or not judged.any():
        return scores
    alive = np.ptp(shadow_vectors, axis=0) > _CONSTANT * np.abs(shadow_vectors).max(axis=0)
    if not alive.any():
        return scores
    centre, spread = shadow_vectors[:, alive].mean(axis=0), shadow_vectors[:, alive].std(axis=0)
    vectors = (shadow_vectors[:, alive] - centre) / spread
    seen = np.clip((observed[alive] - centre) / spread, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    inside = count[judged, None]
    outside = shadows - inside
    mean_in = members[:, judged].T.astype(np.float64) @ vectors / inside
    mean_out = -mean_in * inside / outside  # the mean of all is 0
    variance = _within(mean_in - mean_out, inside, outside)
    far_in = ((seen - mean_in) ** 2 / variance).sum(axis=1) / (1 + 1 / inside[:, 0])
    far_out = ((seen - mean_out) ** 2 / variance).sum(axis=1) / (1 + 1 / outside[:, 0])
    scores[judged] = (far_out - far_in) / 2
    return scores


def _within(gaps: Floats, inside: Floats, outside: Floats) -> Floats:
    """Pooled variance within two groups of vectors of variance 1, ``(features,)``.

    Args:
        gaps: the groups' means' differences, ``(candidates, features)``.
        inside: size of the first group, ``(candidates, 1)``.
        outside: size of the second.
    """
    shadows = float(inside[0, 0] + outside[0, 0])
    between = inside * outside / shadows * gaps**2
    own = np.maximum(shadows - between, 0.0).mean(axis=0) / (shadows - 2)
    shrunk = (1 - _SHRINKAGE) * own + _SHRINKAGE * own.mean()
    return np.asarray(np.maximum(shrunk, _LEAST_DEVIATION**2), dtype=np.float64)
