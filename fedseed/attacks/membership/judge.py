"""Membership inference over all targets: every run is one, and the others are its shadow runs."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Evidence, Floats, Owners, unpack
from fedseed.attacks.membership.scores import lira_offline, lira_online, loss_threshold, rmia
from fedseed.attacks.membership.shadows import Shadows
from fedseed.attacks.membership.vectors import FEWEST_SHADOWS, vector_lira
from fedseed.attacks.roc import Roc, fpr_grid, mean_roc, over_targets, roc_of, tpr_at

_RATES = (("tpr_at_1pct_fpr", 0.01), ("tpr_at_0_1pct_fpr", 0.001))
MODEL_ATTACKS = ("lira-online", "lira-offline", "rmia", "loss-threshold")
"""Attacks on what a model says about the candidates."""
Pairs = list[tuple[Floats, Floats]]
"""Scores of members and of non-members, one pair a target."""


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """Every membership attack of an observer, over all targets.

    Of the server and the eavesdropper a target is one client, whose members stand
    against texts that nobody held; of the others it is the whole run.

    Args:
        evidence: each run has ``signals`` by observer, packed signals of the candidates and then
            of the population for each model that is seen, or else ``vectors`` by observer.
    """
    signals = [
        [unpack(packed) for packed in run["signals"].get(evidence.observer, [])]
        for run in evidence.runs
    ]
    if signals[0]:
        scores, enough_shadows = model_scores(signals, evidence.owners), True
    else:
        vectors = [
            [np.array(vector) for vector in run["vectors"].get(evidence.observer, [])]
            for run in evidence.runs
        ]
        pairs, enough_shadows = _vector_scores(vectors, evidence.owners)
        scores = {"vector-lira": pairs}
    return [
        {"attack": f"membership, {name}", **rates_of(pairs, enough_shadows)}
        for name, pairs in scores.items()
    ]


class _Target(NamedTuple):
    """One client of one run, or the whole run, with the attacker's shadows."""

    observed: Floats
    members: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    """Candidates that are members or nobody's."""
    shadow_values: Floats
    shadow_members: NDArray[np.bool_]


def _targets(seen: Sequence[Sequence[Floats]], owners: Sequence[Owners]) -> list[_Target]:
    """All targets.

    Args:
        seen: one value (or vector) a target and run.
        owners: who held what.
    """
    targets = []
    for number, values in enumerate(seen):
        others = [other for other in range(len(seen)) if other != number]
        single_clients = len(values) > 1
        shadow_values = np.array([value for other in others for value in seen[other]])
        shadow_members = np.array([
            _members(owners[other], client, single_clients)
            for other in others for client in range(len(seen[other]))
        ])  # fmt: skip
        for client, observed in enumerate(values):
            members = _members(owners[number], client, single_clients)
            judged = members | (owners[number] < 0)
            targets.append(_Target(observed, members, judged, shadow_values, shadow_members))
    return targets


def _members(owners: Owners, client: int, single_clients: bool) -> NDArray[np.bool_]:
    return owners == client if single_clients else owners >= 0


def model_scores(signals: Sequence[Sequence[Floats]], owners: Sequence[Owners]) -> dict[str, Pairs]:
    """Scores of all attacks on models, by attack.

    Args:
        signals: logit-scaled confidence in the candidates and then in the population, one array a
            model and run.
        owners: who held the candidates in each run.
    """
    scores: dict[str, Pairs] = {name: [] for name in MODEL_ATTACKS}
    count = len(owners[0])
    for target in _targets(signals, owners):
        candidates, population = target.observed[:count], target.observed[count:]
        shadows = Shadows(target.shadow_values[:, :count], target.shadow_members)
        of_population = target.shadow_values[:, count:]
        by_attack = scores_of_model(candidates, population, shadows, of_population)
        for name, guesses in by_attack.items():
            scores[name].append(_pair(guesses, target))
    return scores


def scores_of_model(
    candidates: Floats, population: Floats, shadows: Shadows, population_shadows: Floats
) -> dict[str, Floats]:
    """Scores of one target's candidates by every attack on models, each ``(candidates,)``.

    Args:
        candidates: the target's logit-scaled confidence in them, ``(candidates,)``.
        population: the same of texts that nobody holds.
        shadows: the same of the candidates under the shadow models.
        population_shadows: and of the population, ``(shadow models, population)``.
    """
    confidences = Shadows(_sigmoid(shadows.signals), shadows.members)
    return {
        "lira-online": lira_online(candidates, shadows),
        "lira-offline": lira_offline(candidates, shadows),
        "rmia": rmia(
            _sigmoid(candidates), _sigmoid(population), confidences, _sigmoid(population_shadows)
        ),
        "loss-threshold": loss_threshold(candidates),
    }


def _vector_scores(
    vectors: Sequence[Sequence[Floats]], owners: Sequence[Owners]
) -> tuple[Pairs, bool]:
    """Scores, and whether there were shadows enough for any: else the attack was not made."""
    targets = _targets(vectors, owners)
    pairs = [
        _pair(vector_lira(target.observed, target.shadow_values, target.shadow_members), target)
        for target in targets
    ]
    return pairs, all(len(target.shadow_values) >= FEWEST_SHADOWS for target in targets)


def _pair(guesses: Floats, target: _Target) -> tuple[Floats, Floats]:
    return guesses[target.members], guesses[target.judged & ~target.members]


def _sigmoid(logits: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(logits), dtype=np.float64)


def rates_of(pairs: Pairs, enough_shadows: bool = True) -> dict[str, Any]:
    """AUC and true positive rates over targets, and the mean ROC.

    Args:
        pairs: scores of members and non-members, one pair a target.
        enough_shadows: whether the attack could be made; there is no AUC if not.
    """
    rocs: list[Roc] = [roc_of(inside, outside) for inside, outside in pairs]
    grid = fpr_grid(min(len(outside) for _, outside in pairs), 40)
    rates = {
        name: over_targets([tpr_at(inside, outside, rate) for inside, outside in pairs])
        for name, rate in _RATES
    }
    return {
        "targets": len(pairs), "members": len(pairs[0][0]), "non_members": len(pairs[0][1]),
        "auc": over_targets([roc.auc if enough_shadows else math.nan for roc in rocs]), **rates,
        "roc": {"fpr": _short(grid), "tpr": _short(mean_roc(rocs, grid))},
    }  # fmt: skip


def _short(numbers: Floats) -> list[float]:
    return [float(f"{x:.4g}") for x in numbers]
