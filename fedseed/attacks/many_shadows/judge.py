"""Every run of one client is the target once; the others are the attacker's shadow models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Evidence, Floats, unpack
from fedseed.attacks.many_shadows.by_record import by_record
from fedseed.attacks.many_shadows.stacking import Members, Query, all_scores
from fedseed.attacks.membership.judge import rates_of
from fedseed.attacks.roc import tpr_at
from fedseed.randomness import generator

_LOW = 0.001
_RESAMPLES = 200


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """One cell an attack; what is found of single texts stands in each.

    Args:
        evidence: each run has ``signals``, for each query the packed signals of the candidates and
            then of the population; ``owners`` are 0 of candidates that the client held, else -1.
    """
    members = np.array([owner == 0 for owner in evidence.owners])
    candidates = members.shape[1]
    seen = [[unpack(packed) for packed in run["signals"]] for run in evidence.runs]
    queries = [
        Query(every[:, :candidates], every[:, candidates:])
        for every in (np.array(one) for one in zip(*seen, strict=True))
    ]
    single = by_record(queries[0].candidates, members)
    return [
        {
            "attack": f"membership, {name}", "shadow_runs": len(members) - 1,
            **rates_of(_pairs(scores, members)), "tpr_at_0_1pct_fpr": _low_rate(scores, members),
            "per_record": single,
        }
        for name, scores in all_scores(queries, members).items()
    ]  # fmt: skip


def _pairs(scores: Floats, members: Members) -> list[tuple[Floats, Floats]]:
    """Scores of members and of the others, one pair a target."""
    return [(own[held], own[~held]) for own, held in zip(scores, members, strict=True)]


def _low_rate(scores: Floats, members: Members) -> dict[str, Any]:
    """True positive rate at 0.1 % false positives, with one threshold for all targets.

    A single target has too few non-members for it. The interval resamples targets (bootstrap).
    """

    def rate(runs: NDArray[np.int64]) -> float:
        some, held = scores[runs], members[runs]
        return tpr_at(some[held], some[~held], _LOW)

    every, rng = np.arange(len(scores)), generator(0, "privacy/resampled targets")
    rates = [rate(every), *(rate(rng.choice(every, len(every))) for _ in range(_RESAMPLES))]
    if np.isnan(rates).any():  # too few non-members, or scores too coarse
        return {"value": None, "ci95": None}
    low, high = np.quantile(rates[1:], [0.025, 0.975])
    return {"value": rates[0], "ci95": [float(low), float(high)]}
