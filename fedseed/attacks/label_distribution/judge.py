"""Error of the class mix read from what clients send, each run attacked with the others."""

from typing import Any

import numpy as np

from fedseed.attacks.evidence import Evidence
from fedseed.attacks.label_distribution.class_shares import (
    baseline_error,
    fit_and_estimate,
    label_error,
)
from fedseed.attacks.roc import over_targets


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """One cell: the error, and that of whoever guesses.

    Args:
        evidence: each run has ``features`` of every client's contribution, and the true class
            ``shares``.
    """
    targets = slice(0, 1) if evidence.one_client_alone else slice(None)
    errors, baselines = [], []
    for number, run in enumerate(evidence.runs):
        shadows = [other for place, other in enumerate(evidence.runs) if place != number]
        shadow_features = np.array([row for other in shadows for row in other["features"]])
        shadow_shares = np.array([row for other in shadows for row in other["shares"]])
        features, shares = np.array(run["features"])[targets], np.array(run["shares"])[targets]
        estimated = fit_and_estimate(shadow_features, shadow_shares, features)
        errors += label_error(estimated, shares).tolist()
        baselines += np.atleast_1d(baseline_error(shadow_shares, shares)).tolist()
    return [{
        "attack": "label-distribution", "targets": len(errors),
        "label_error": over_targets(errors), "label_error_of_guessing": over_targets(baselines),
    }]  # fmt: skip
