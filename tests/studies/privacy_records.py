"""Small records of the privacy study, made by hand, for tests of its report."""

import copy
from pathlib import Path
from typing import Any

from fedseed.results.record import read_record

OFFICIAL = Path(__file__).parents[2] / "results" / "official" / "privacy" / "record.json"


def official() -> dict[str, Any]:
    return read_record(OFFICIAL)


def mean(value: float, width: float = 0.01) -> dict[str, Any]:
    return {"value": value, "ci95": [value - width, value + width]}


def accuracy(value: float) -> dict[str, Any]:
    return {
        **mean(value), "n": 400, "balanced": value, "majority_baseline": 0.5,
        "class_counts": [200, 200], "repeats": [value],
    }  # fmt: skip


def place(row: str, setting: str | None, **more: Any) -> dict[str, Any]:
    return {"observer": "server", "row": row, "protocol": row.partition(" ")[0],
            "setting": setting, **more}  # fmt: skip


def membership(row: str, auc: float, tpr: float, **more: Any) -> dict[str, Any]:
    cell = {
        **place(row, None), "attack": "membership, lira-online", "targets": 6, "members": 20,
        "non_members": 40, "auc": mean(auc), "tpr_at_1pct_fpr": mean(tpr),
        "tpr_at_0_1pct_fpr": {"value": None, "ci95": None}, "bytes_read": 1234.0,
    }  # fmt: skip
    return cell | more


def strong(row: str, auc: float, **more: Any) -> dict[str, Any]:
    """An attack with many shadow runs, which says how well each single text is found."""
    per_record = {
        "texts": 600, "runs": 64, "auc_median": 0.52, "auc_90th_percentile": 0.71,
        "share_above_0_9": 0.005, "worst": [0.99 - 0.01 * n for n in range(10)],
        "calibrated_tpr_at_1pct_fpr": 0.031, "pooled_tpr_at_1pct_fpr": 0.017,
    }  # fmt: skip
    settings = {"setting": "64 shadow runs", "model": "minilm", "per_record": per_record}
    return membership(row, auc, 0.012, **settings) | more


def bounded(row: str, epsilon: float | None, reached: float | None, **more: Any) -> dict[str, Any]:
    """A setting with its claim of epsilon, not audited."""
    setting = "no differential privacy" if epsilon is None else f"epsilon {epsilon:g}"
    cell = {
        **place(row, setting), "attack": "not audited", "unit": "example", "clients": 8,
        "secure_aggregation": False, "mechanism": "none" if epsilon is None else "DP-SGD",
        "model": "bert-tiny", "max_length": 64, "epsilon_claimed": epsilon, "delta": 1e-5,
        "epsilon_lower_bound": None, "targets": 0, "payload_bytes": 4321.0,
        "accuracy": None if reached is None else accuracy(reached),
    }  # fmt: skip
    return cell | more


def audited(row: str, epsilon: float | None, bound: float, **more: Any) -> dict[str, Any]:
    measured = {"value": bound, "ci95": None, "largest": bound}
    told = {"attack": "repeated audit", "targets": 500, "epsilon_lower_bound": measured}
    return bounded(row, epsilon, None) | told | more


SUMS = "lexicon, secure aggregation"


def newer() -> dict[str, Any]:
    """A record with budget cells, strong attacks, rows of counts, and tests of the audit."""
    record = copy.deepcopy(official())
    cells = [
        membership("weights", 0.7, 0.08), membership("weights", 0.65, 0.05, observer="newcomer"),
        strong("weights", 0.93), membership("lexicon", 0.55, 0.05),
        membership(SUMS, 0.505, 0.011, secure_aggregation=True),
        bounded("weights", None, 0.8), bounded("weights", 4.0, 0.74), bounded("weights", 8.0, 0.5),
        audited("weights", None, 6.5), audited("weights", 4.0, 1.25), audited("weights", 8.0, 2.5),
        bounded(SUMS, 1.0, 0.71, secure_aggregation=True, mechanism="discrete Gaussian noise"),
        audited("weights", 1.0, 3.5, caught=True, setting="noise / 10"),
        audited("weights", 2.0, 1.5, caught=False, setting="noise / 2"),
    ]  # fmt: skip
    results = record["results"]
    results["cells"] = cells
    results["rows"] = {"weights": "weights, fp32", "lexicon": "counts of words",
                       SUMS: "sums of counts of words", "labels": "1-bit labels"}  # fmt: skip
    return record
