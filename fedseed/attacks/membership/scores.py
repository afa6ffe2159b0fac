"""Membership inference from what a model says about a text.

Attacks on arrays. An attack sees what the target says about the candidates (``observed``), what
shadow models say about them, and on which of them each shadow model was trained. Every attack
returns one finite score a candidate; larger ones speak for membership. A candidate about which the
shadow models say nothing gets the attack's neutral score, which is named where it is returned,
never NaN.
"""

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats
from fedseed.attacks.membership.shadows import Shadows

_LOWEST_LOG = -745.0
"""Logarithm of the smallest positive double: stands for the logarithm of 0."""
_LEAST_PROBABILITY = 1e-300


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
