"""What the attacks make of the watched runs: every run is the target once, the others its shadows.

Attack functions are handed arrays of what the observer sees and of the shadow runs, whose deals the
attacker made itself. The target's own deal is used here alone, to judge the guesses.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.exposure import exposure, most
from fedseed.attacks.label_share import baseline_error, fit_and_estimate, label_error
from fedseed.attacks.membership import (
    FEWEST_SHADOWS,
    Shadows,
    lira_offline,
    lira_online,
    loss_threshold,
    rmia,
    vector_lira,
)
from fedseed.attacks.roc import Roc, fpr_grid, mean_roc, over_targets, roc_of, tpr_at
from fedseed.evaluation.repeats import mean_interval
from fedseed.studies.privacy.watched_runs import unpack
from fedseed.studies.privacy.world import CANARY_REPEATS, World

Runs = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]
_RATES = (("tpr_at_1pct_fpr", 0.01), ("tpr_at_0_1pct_fpr", 0.001))
MODEL_ATTACKS = ("lira-online", "lira-offline", "rmia", "loss-threshold")


def membership_cells(
    runs: Runs, owners: Sequence[NDArray[np.int64]], observer: str
) -> list[dict[str, Any]]:
    """Every membership attack of an observer, over all targets.

    Args:
        runs: what :func:`fedseed.studies.privacy.watched_runs.observe` found, one a repeat.
        owners: who held each candidate, one a repeat.
        observer: who looks. Of the server and the eavesdropper a target is one client, whose
            members are told from texts that nobody held; of the others it is the whole run.
    """
    tried = True
    signals = [[unpack(one) for one in run["signals"].get(observer, [])] for run in runs]
    if signals[0]:
        scores = _model_scores(signals, owners)
    else:
        vectors = [[np.array(one) for one in run["vectors"].get(observer, [])] for run in runs]
        found, tried = _vector_scores(vectors, owners)
        scores = {"vector-lira": found}
    return [
        {"attack": f"membership, {name}", **_judged(own, tried)} for name, own in scores.items()
    ]


Pairs = list[tuple[Floats, Floats]]
"""Scores of members and of non-members, one pair a target."""


def _members(owner: NDArray[np.int64], place: int, many: bool) -> NDArray[np.bool_]:
    return owner == place if many else owner >= 0


def _targets(
    seen: Sequence[Sequence[Floats]], owners: Sequence[NDArray[np.int64]]
) -> list[tuple[Floats, NDArray[np.bool_], NDArray[np.bool_], Floats, NDArray[np.bool_]]]:
    """Observed, its members, its candidates, and the shadows' values and members, by target.

    Args:
        seen: one value (or vector) a target and run.
        owners: who held what.
    """
    found = []
    for number, own in enumerate(seen):
        others = [other for other in range(len(seen)) if other != number]
        many = len(own) > 1
        values = np.array([one for other in others for one in seen[other]])
        members = np.array([
            _members(owners[other], place, many)
            for other in others for place in range(len(seen[other]))
        ])  # fmt: skip
        for place in range(len(own)):
            inside = _members(owners[number], place, many)
            judged = inside | (owners[number] < 0)
            found.append((own[place], inside, judged, values, members))
    return found


def _model_scores(
    signals: Sequence[Sequence[Floats]], owners: Sequence[NDArray[np.int64]]
) -> dict[str, Pairs]:
    scores: dict[str, Pairs] = {name: [] for name in MODEL_ATTACKS}
    count = len(owners[0])
    for observed, inside, judged, values, members in _targets(signals, owners):
        shadows = Shadows(values[:, :count], members)
        sure = Shadows(_sigmoid(values[:, :count]), members)
        own = observed[:count]
        found = {
            "lira-online": lira_online(own, shadows),
            "lira-offline": lira_offline(own, shadows),
            "rmia": rmia(
                _sigmoid(own), _sigmoid(observed[count:]), sure, _sigmoid(values[:, count:])
            ),
            "loss-threshold": loss_threshold(own),
        }
        for name, one in found.items():
            scores[name].append((one[inside], one[judged & ~inside]))
    return scores


def _vector_scores(
    vectors: Sequence[Sequence[Floats]], owners: Sequence[NDArray[np.int64]]
) -> tuple[Pairs, bool]:
    """Scores, and whether there were shadows enough for any: else the attack was not made."""
    scores, tried = [], True
    for observed, inside, judged, values, members in _targets(vectors, owners):
        one = vector_lira(observed, values, members)
        scores.append((one[inside], one[judged & ~inside]))
        tried = tried and len(values) >= FEWEST_SHADOWS
    return scores, tried


def _sigmoid(logits: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(logits), dtype=np.float64)


def _judged(pairs: Pairs, tried: bool = True) -> dict[str, Any]:
    """AUC and true positive rates over targets, and the mean ROC; no AUC if none was tried."""
    rocs: list[Roc] = [roc_of(inside, outside) for inside, outside in pairs]
    grid = fpr_grid(min(len(outside) for _, outside in pairs), 40)
    rates = {
        name: over_targets([tpr_at(inside, outside, rate) for inside, outside in pairs])
        for name, rate in _RATES
    }
    return {
        "targets": len(pairs), "members": len(pairs[0][0]), "non_members": len(pairs[0][1]),
        "auc": over_targets([roc.auc if tried else math.nan for roc in rocs]), **rates,
        "roc": {"fpr": _short(grid), "tpr": _short(mean_roc(rocs, grid))},
    }  # fmt: skip


def _short(numbers: Floats) -> list[float]:
    return [float(f"{x:.4g}") for x in numbers]


def alive_cells(
    runs: Runs, owners: Sequence[NDArray[np.int64]], coins: Sequence[NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    """The attacks on a model that memorises, and on texts that no run has seen.

    Args:
        runs: signals of the candidates, then of texts that nobody held.
        owners: 0 for the memorised candidates of each run, else -1.
        coins: made-up memberships of the unseen texts, one array a run.
    """
    signals = [unpack(run["signals"]) for run in runs]
    count = len(owners[0])
    seen = _model_scores([[one] for one in signals], owners)
    unseen = [np.concatenate([one[count:], one[:count]]) for one in signals]
    made_up = [np.where(coin, 0, -1) for coin in coins]
    nothing = _model_scores([[one] for one in unseen], made_up)
    return [
        {"observer": "server", "row": "weights", "protocol": "weights", "setting": setting,
         "attack": f"membership, {name}", **_judged(scores[name])}
        for setting, scores in (("memorising model", seen), ("texts never seen", nothing))
        for name in MODEL_ATTACKS
    ]  # fmt: skip


def word_cell(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Precision and recall of the words that were named, over clients."""
    shares = {
        name: [one[name] for one in found if one[name] is not None]
        for name in ("precision", "recall")
    }
    return {
        "attack": "tokens", "targets": len(found),
        **{f"token_{name}": over_targets(own) if own else None for name, own in shares.items()},
    }  # fmt: skip


def canary_cells(runs: Runs, observer: str, world: World) -> list[dict[str, Any]]:
    """Exposure by the number of times that a secret was trained on, over runs and secrets."""
    found: dict[int, list[float]] = {times: [] for times in CANARY_REPEATS}
    for run in runs:
        losses = run["canaries"].get(observer)
        if losses is None:
            return []
        pairs = zip(losses["canary"], losses["references"], strict=True)
        for place, (own, references) in enumerate(pairs):
            times = CANARY_REPEATS[place % len(CANARY_REPEATS)]
            found[times].append(exposure(own[0], references))
    return [
        {"attack": f"canary trained on {times} time(s)", "repeated": times, "targets": len(bits),
         "exposure_bits": over_targets(bits, rates=False),
         "most_bits": most(len(world.references))}
        for times, bits in found.items()
    ]  # fmt: skip


def mix_cell(runs: Runs, alone: bool) -> dict[str, Any]:
    """Error of the class mix read from what clients send, each run attacked with the others.

    Args:
        runs: features and true shares.
        alone: whether only client 0 is attacked (the eavesdropper's link).
    """
    errors, baselines = [], []
    for number, run in enumerate(runs):
        others = [other for place, other in enumerate(runs) if place != number]
        features = np.array([one for other in others for one in other["features"]])
        shares = np.array([one for other in others for one in other["shares"]])
        own, true = np.array(run["features"]), np.array(run["shares"])
        if alone:
            own, true = own[:1], true[:1]
        errors += label_error(fit_and_estimate(features, shares, own), true).tolist()
        baselines += np.atleast_1d(baseline_error(shares, true)).tolist()
    return {
        "attack": "label-distribution", "targets": len(errors),
        "label_error": over_targets(errors), "label_error_of_guessing": over_targets(baselines),
    }  # fmt: skip


def audit_cell(found: Runs) -> dict[str, Any]:
    """The best lower bound is of no run alone: the mean over runs, and the largest."""
    bounds = [one["audit"]["epsilon"] for one in found]
    claimed = found[0]["claimed"]
    interval = mean_interval(bounds)
    return {
        "attack": "one-run audit", "targets": len(bounds),
        "epsilon_lower_bound": {
            "value": float(np.mean(bounds)),
            "ci95": interval and [max(0.0, interval[0]), interval[1]], "largest": max(bounds),
            "each_with_confidence": found[0]["audit"]["confidence"],
        },
        "epsilon_claimed": claimed, "delta": found[0]["audit"]["delta"],
        "secrets": found[0]["audit"]["examples"],
        "guessed_and_correct": [
            [one["audit"]["guessed"], one["audit"]["correct"]] for one in found
        ],
    }  # fmt: skip
