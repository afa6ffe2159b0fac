"""The lower bounds of several audited runs: their mean, and the largest."""

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
    bounds = [audit["epsilon"] for audit in audits]
    interval = mean_interval(bounds)
    return [{
        "attack": "one-run audit", "targets": len(bounds),
        "epsilon_lower_bound": {
            "value": float(np.mean(bounds)),
            "ci95": interval and [max(0.0, interval[0]), interval[1]], "largest": max(bounds),
            "each_with_confidence": audits[0]["confidence"],
        },
        "epsilon_claimed": evidence.runs[0]["claimed"], "delta": audits[0]["delta"],
        "secrets": audits[0]["examples"],
        "guessed_and_correct": [[audit["guessed"], audit["correct"]] for audit in audits],
    }]  # fmt: skip
