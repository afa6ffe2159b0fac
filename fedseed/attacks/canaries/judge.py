"""Exposure by the number of times that a canary was trained on, over runs and canaries."""

from typing import Any

from fedseed.attacks.canaries.exposure import exposure, most
from fedseed.attacks.evidence import Evidence
from fedseed.attacks.roc import over_targets


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """One cell for each number of times.

    Args:
        evidence: each run has ``canaries`` by observer: losses of every canary, and of the
            reference texts beside it.
    """
    bits: dict[int, list[float]] = {times: [] for times in evidence.canary_repeats}
    references = 0
    for run in evidence.runs:
        losses = run["canaries"][evidence.observer]
        pairs = zip(losses["canary"], losses["references"], strict=True)
        for place, (canary, others) in enumerate(pairs):
            times = evidence.canary_repeats[place % len(evidence.canary_repeats)]
            bits[times].append(exposure(canary[0], others))
            references = len(others)
    return [
        {"attack": f"canary trained on {times} time(s)", "repeated": times, "targets": len(values),
         "exposure_bits": over_targets(values, rates=False), "most_bits": most(references)}
        for times, values in bits.items()
    ]  # fmt: skip
