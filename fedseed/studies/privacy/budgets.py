"""Cells of the record that have a budget: what it costs, and what audits say of it."""

from typing import Any

import numpy as np

from fedseed.attacks import attacks
from fedseed.attacks.audit.judge import bound_of
from fedseed.attacks.evidence import Evidence
from fedseed.evaluation.metrics import ClassCounts
from fedseed.evaluation.repeats import over_repeats
from fedseed.studies.privacy.attacked_rows import place_of
from fedseed.studies.privacy.cells import cell_name
from fedseed.studies.privacy.defences import Setting, budgets_of, settings
from fedseed.studies.privacy.jobs import audit_repeats, curve_repeats, repeated_audits
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.outcomes import Measured, RecordCells

NOT_AUDITED = "not audited"


def budget_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """One cell for each setting and budget; of budgets that are audited alone without accuracy."""
    measured_settings = list(settings(config))
    for setting in measured_settings:
        for epsilon in budgets_of(config, setting):
            yield {
                **_place(config, setting, epsilon),
                **_cost(config, setting, epsilon, measured),
                **_audit(config, setting, epsilon, measured),
            }
        yield from _audited_alone(config, setting, measured)
        yield from _mistaken(config, setting, measured)
    rows = [setting.row for setting in measured_settings if setting.audit == "one-run audit"]
    for row in config.rows_of("audit"):
        if row not in rows:
            yield from _audited_alone(config, Setting(row, "example"), measured, every=True)


def _audited_alone(
    config: PrivacyOptions, setting: Setting, measured: Measured, every: bool = False
) -> RecordCells:
    """Audits of budgets whose accuracy is not measured."""
    known = [] if every else budgets_of(config, setting)
    for epsilon in [None, *config.audited_budgets()]:
        found = _audit(config, setting, epsilon, measured)
        if epsilon not in known and found["attack"] != NOT_AUDITED:
            yield {
                **_place(config, setting, epsilon), "accuracy": None,
                "payload_bytes": None, **found,
            }  # fmt: skip


def _words(epsilon: float | None) -> str:
    return "no differential privacy" if epsilon is None else f"epsilon {epsilon:g}"


def _place(
    config: PrivacyOptions, setting: Setting, epsilon: float | None, more: str = ""
) -> dict[str, Any]:
    there = setting.on(config)
    return {
        **place_of("server", setting.row, _words(epsilon) + more), "delta": config.delta,
        "unit": setting.unit, "secure_aggregation": setting.secure,
        "mechanism": "none" if epsilon is None else setting.mechanism, "clients": there.clients,
        "model": there.model, "max_length": there.length,
    }  # fmt: skip


def _cost(
    config: PrivacyOptions, setting: Setting, epsilon: float | None, measured: Measured
) -> dict[str, Any]:
    """Accuracy, and bytes that a client sends in the whole run."""
    budgets = budgets_of(config, setting)
    epsilons = budgets if setting.keeps_features else [epsilon]
    outcomes = [
        measured[
            cell_name("accuracy", setting=setting.arguments(), epsilons=epsilons, repeat=r)
        ][str(epsilon)]
        for r in range(curve_repeats(config, setting))
    ]  # fmt: skip
    counts = [ClassCounts.from_record(outcome["counts"]) for outcome in outcomes]
    return {
        "epsilon_claimed": outcomes[0]["claimed"], "accuracy": over_repeats(counts),
        "payload_bytes": float(np.mean([outcome["up_bytes"] for outcome in outcomes])),
    }  # fmt: skip


def _audit(
    config: PrivacyOptions, setting: Setting, epsilon: float | None, measured: Measured
) -> dict[str, Any]:
    """What the setting's audit says; nothing where there is none."""
    audited = epsilon is None or epsilon in config.audited_budgets()
    if setting.audit == "one-run audit" and audited and setting.row in config.rows_of("audit"):
        return _one_run(config, setting.row, epsilon, measured)
    if setting.audit == "repeated audit" and audited and epsilon is not None:
        runs = _repeated(config, setting, epsilon, 1.0, measured)
        return {"attack": setting.audit, **bound_of(runs)}
    return {"attack": NOT_AUDITED, "epsilon_lower_bound": None, "targets": 0}


def _one_run(
    config: PrivacyOptions, row: str, epsilon: float | None, measured: Measured
) -> dict[str, Any]:
    names = [
        cell_name("audit", row=row, epsilon=epsilon, repeat=r) for r in range(audit_repeats(config))
    ]
    (cell,) = attacks()["audit"].cells(Evidence("server", [measured[name] for name in names]))
    return cell


def _repeated(
    config: PrivacyOptions, setting: Setting, epsilon: float, too_little: float, measured: Measured
) -> list[dict[str, Any]]:
    return [
        measured[cell_name("repeated", **arguments)]
        for arguments in repeated_audits(config, setting)
        if (arguments["epsilon"], arguments["too_little"]) == (epsilon, too_little)
    ]


def _mistaken(config: PrivacyOptions, setting: Setting, measured: Measured) -> RecordCells:
    """Whether audits catch noise that a wrong accountant has made too small."""
    if setting.audit != "repeated audit":
        return
    for epsilon in config.audited_budgets():
        runs = _repeated(config, setting, epsilon, 2.0, measured)
        if runs:
            found = bound_of(runs)
            yield {
                **_place(config, setting, epsilon, ", noise halved by mistake"),
                "accuracy": None, "payload_bytes": None, "attack": setting.audit, **found,
                "caught": found["epsilon_lower_bound"]["value"] > found["epsilon_claimed"],
            }  # fmt: skip
