"""The lower bounds of several audited runs: their mean, and the largest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.attacks.evidence import Evidence
from fedseed.evaluation.repeats import mean_interval


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """One cell: the best lower bound is of no run alone, but a mean over runs.

    Args:
        evidence: each run has ``audit``, what :func:`fedseed.attacks.audit.one_run.audit` returns,
            and the epsilon ``claimed``, None without differential privacy.
    """
    audits = [run["audit"] for run in evidence.runs]
    runs = [audit | {"claimed": run["claimed"]} for audit, run in zip(audits, evidence.runs)]
    return [{
        "attack": "one-run audit", **bound_of(runs), "delta": audits[0]["delta"],
        "secrets": audits[0]["examples"],
        "guessed_and_correct": [[audit["guessed"], audit["correct"]] for audit in audits],
    }]  # fmt: skip


def bound_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What audited runs of one budget say of it.

    Args:
        runs: each with ``epsilon``, its lower bound, the ``confidence`` of that, and what is
            ``claimed``.
    """
    bounds = [run["epsilon"] for run in runs]
    each = runs[0]["confidence"]
    interval = mean_interval(bounds)
    return {
        "targets": len(bounds),
        "epsilon_lower_bound": {
            "value": float(np.mean(bounds)),
            "ci95": interval and [max(0.0, interval[0]), interval[1]], "largest": max(bounds),
            "each_with_confidence": each,
            "largest_with_confidence": round(1 - len(runs) * (1 - each), 6),
        },
        "epsilon_claimed": runs[0]["claimed"],
    }  # fmt: skip
