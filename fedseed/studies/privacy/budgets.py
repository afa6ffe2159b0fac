"""Cells of the record that have a budget: what it costs, and what audits say of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fedseed.attacks import attacks
from fedseed.attacks.audit.judge import bound_of
from fedseed.attacks.evidence import Evidence
from fedseed.evaluation.metrics import ClassCounts
from fedseed.evaluation.repeats import over_repeats
from fedseed.studies.privacy.attacked_rows import place_of
from fedseed.studies.privacy.cells import cell_name
from fedseed.studies.privacy.defences import ONE_RUN, REPEATED, Setting, budgets_of, settings
from fedseed.studies.privacy.jobs import curve_repeats, repeated_audits
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.outcomes import Measured, RecordCells

_NOTHING: Mapping[str, Any] = {
    "attack": "not audited", "epsilon_lower_bound": None, "targets": 0
}  # fmt: skip


def budget_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """One cell for each setting and budget; of budgets that are audited alone without accuracy."""
    measured_settings = list(settings(config))
    for setting in measured_settings:
        for epsilon in budgets_of(config, setting):
            audited = _audits(config, setting, epsilon, measured)
            found = audited[0] if audited else _NOTHING
            yield {
                **_place(config, setting, epsilon), **found,
                **_cost(config, setting, epsilon, measured),
                "epsilon_audited": found.get("epsilon_claimed"),
            }  # fmt: skip
        yield from _audited_alone(config, setting, measured)
        yield from _mistaken(config, setting, measured)
    rows = [setting.row for setting in measured_settings if ONE_RUN in setting.audits]
    for row in config.rows_of("audit"):
        if row not in rows:
            yield from _audited_alone(config, Setting(row, "example"), measured, every=True)


def _audited_alone(
    config: PrivacyOptions, setting: Setting, measured: Measured, every: bool = False
) -> RecordCells:
    """Audits that stand beside no accuracy: of other budgets, and second ones."""
    known = [] if every else budgets_of(config, setting)
    for epsilon in [None, *config.audited_budgets()]:
        for found in _audits(config, setting, epsilon, measured)[epsilon in known :]:
            yield {
                **_place(config, setting, epsilon), "accuracy": None, "payload_bytes": None,
                **found, "epsilon_audited": found["epsilon_claimed"],
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


def _audits(
    config: PrivacyOptions, setting: Setting, epsilon: float | None, measured: Measured
) -> list[dict[str, Any]]:
    """What the setting's audits say of a budget, in their order."""
    found = []
    audited = epsilon is None or epsilon in config.audited_budgets()
    if ONE_RUN in setting.audits and audited and setting.row in config.rows_of("audit"):
        found.append(_one_run(config, setting.row, epsilon, measured))
    runs = _repeated(config, setting, epsilon, 1.0, measured)
    if runs:
        found.append({"attack": REPEATED, **bound_of(runs)})
    return found


def _one_run(
    config: PrivacyOptions, row: str, epsilon: float | None, measured: Measured
) -> dict[str, Any]:
    names = [
        cell_name("audit", row=row, epsilon=epsilon, repeat=r) for r in range(config.audit_runs)
    ]
    (cell,) = attacks()["audit"].cells(Evidence("server", [measured[name] for name in names]))
    return cell


def _repeated(
    config: PrivacyOptions,
    setting: Setting,
    epsilon: float | None,
    too_little: float,
    measured: Measured,
) -> list[dict[str, Any]]:
    return [
        measured[cell_name("repeated", **arguments)]
        for arguments in repeated_audits(config, setting)
        if (arguments["epsilon"], arguments["too_little"]) == (epsilon, too_little)
    ]


def _mistaken(config: PrivacyOptions, setting: Setting, measured: Measured) -> RecordCells:
    """Whether audits catch noise that a wrong accountant has made too small."""
    for epsilon in config.audited_budgets():
        runs = _repeated(config, setting, epsilon, 2.0, measured)
        if runs:
            found = bound_of(runs)
            yield {
                **_place(config, setting, epsilon, ", noise halved by mistake"),
                "accuracy": None, "payload_bytes": None, "attack": REPEATED, **found,
                "epsilon_audited": found["epsilon_claimed"],
                "caught": found["epsilon_lower_bound"]["value"] > found["epsilon_claimed"],
            }  # fmt: skip
