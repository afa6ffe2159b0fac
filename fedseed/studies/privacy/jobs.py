"""What the privacy study measures: every cell, with about how long it takes."""

from collections.abc import Iterator
from typing import Any

from fedseed.attacks import attacks
from fedseed.studies.base import dataset_of, tested_rows
from fedseed.studies.cells import Cell
from fedseed.studies.measuring import TEST_COST
from fedseed.studies.privacy.attacked_rows import (
    attacked_row,
    protocol_of,
)
from fedseed.studies.privacy.cells import cell_name
from fedseed.studies.privacy.defences import ONE_RUN, REPEATED, Setting, budgets_of, settings
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import can_be_crafted, plan_of
from fedseed.studies.privacy.planted_run import audited_steps
from fedseed.studies.privacy.shadow_runs import shadowed_rows

_BATCHES = (
    *((batch, steps, "adamw", 64) for steps in (1, 4) for batch in (1, 4, 16, 32)),
    *((batch, 1, "sgd", 64) for batch in (1, 4, 16, 32)),
    *((batch, 1, "sgd", 16) for batch in (1, 4)),
)
"""Texts in a batch, local steps, optimiser and tokens of a text, for what an update gives away."""
_TRIALS = 5
_MISTAKEN = 4.0
"""The budget that a wrong accountant spends, if it is among those that are asked for."""
_BODY = 20
"""Tests that a test of a published body costs."""
_PLANTED = 100
"""Ordinary steps that one of DP-SGD on all planted texts costs."""
_ANSWER, _WHOLE_ANSWER = 1 / 6, 3.0
"""Ordinary steps that an answer costs, with a text and without it: of few numbers, of a model."""
_DP_STEP = 4.0
"""Training steps that a step of DP-SGD costs."""


def curve_repeats(config: PrivacyOptions, setting: Setting) -> int:
    """Runs of one point of a curve of accuracy against epsilon."""
    return 1 if config.quick else min(setting.repeats, config.repeats)


def repeated_audits(config: PrivacyOptions, setting: Setting) -> list[dict[str, Any]]:
    """Audits of many answers, as arguments of cells; also of noise that is halved by mistake.

    Of settings that have a one-run audit only the largest budget: there an answer is a whole model.
    """
    if not config.defences or REPEATED not in setting.audits:
        return []
    budgets = config.audited_budgets()
    asked = [(epsilon, 1.0) for epsilon in (budgets[-1:] if ONE_RUN in setting.audits else budgets)]
    asked.append((_MISTAKEN if _MISTAKEN in budgets else budgets[0], 2.0))
    return [
        {"setting": setting.arguments(), "epsilon": epsilon, "too_little": too_little, "repeat": r}
        for epsilon, too_little in asked for r in range(config.audit_runs)
    ]  # fmt: skip


def memorise_repeats(config: PrivacyOptions) -> int:
    """Runs of the memorising model: cheap, so that there are many shadows."""
    return 2 * config.repeats


def rows_with_updates(config: PrivacyOptions, attack: str) -> list[str]:
    """Rows on which an attack is made and whose contributions are changes of the weights."""
    return [row for row in config.rows_of(attack) if "update" in protocol_of(row).reveals]


def memorising_row(config: PrivacyOptions) -> str | None:
    """The row by which a model is made to memorise, to see whether the attacks work."""
    return next(iter(rows_with_updates(config, "membership")), None)


def update_rows(config: PrivacyOptions) -> list[str]:
    """Rows of which updates of a few texts are attacked."""
    return rows_with_updates(config, "tokens")


def crafted_rows(config: PrivacyOptions) -> list[str]:
    """Rows whose clients are asked questions by crafted seeds; none where those cannot be made."""
    return config.rows_of("crafted") if can_be_crafted(config) else []


def few_texts(config: PrivacyOptions) -> list[dict[str, Any]]:
    """Batches of a few texts whose updates are attacked, as arguments of cells."""
    chosen = [batch for batch in _BATCHES if not config.quick or batch[0] < 16]
    trials = 2 if config.quick else _TRIALS
    names = ("batch", "steps", "optimiser", "length")
    return [dict(zip(names, batch, strict=True)) | {"trials": trials} for batch in chosen]


def all_cells(config: PrivacyOptions) -> Iterator[Cell]:
    """Everything to measure."""
    yield from _observed_runs(config)
    yield from _single_clients(config)
    yield from _many_runs(config)
    for setting in settings(config):
        budgets = budgets_of(config, setting)
        together = [budgets] if setting.keeps_features else [[one] for one in budgets]
        for epsilons in together:
            cost = sum(_curve_cost(config, setting, one is not None) for one in epsilons)
            for repeat in range(curve_repeats(config, setting)):
                yield _cell(
                    "accuracy", cost, setting=setting.arguments(), epsilons=epsilons, repeat=repeat
                )
        answer = _WHOLE_ANSWER if ONE_RUN in setting.audits else _ANSWER
        for arguments in repeated_audits(config, setting):
            yield _cell("repeated", setting.answers(config) * answer, **arguments)


def _observed_runs(config: PrivacyOptions) -> Iterator[Cell]:
    """Federated runs of several clients."""
    for repeat in range(config.repeats):
        for runs, share in (("usual", 1.0), ("skewed", 0.5)):
            names = [attack.name for attack in attacks().values() if attack.runs == runs]
            for row in config.rows_of(*names):
                yield _cell(runs, share * _run_cost(config, row), row=row, repeat=repeat)
        for row in crafted_rows(config):
            yield _cell("crafted", 30, row=row, repeat=repeat)


def _single_clients(config: PrivacyOptions) -> Iterator[Cell]:
    """Runs of one client."""
    row = memorising_row(config)
    for repeat in range(memorise_repeats(config) if row else 0):
        yield _cell("memorise", config.cut(300) + 20, row=row, repeat=repeat)
    for row in update_rows(config):
        for batch in few_texts(config):
            yield _cell("update", 20 + batch["steps"] * batch["batch"] / 8, row=row, **batch)
    for row in config.rows_of("audit"):
        for epsilon in [None, *config.audited_budgets()]:
            for repeat in range(config.audit_runs):
                cost = config.cut(audited_steps(config)) if epsilon is None else _PLANTED
                yield _cell("audit", cost, row=row, epsilon=epsilon, repeat=repeat)


def _many_runs(config: PrivacyOptions) -> Iterator[Cell]:
    """Runs of one client, each a shadow model of the others."""
    for shadowed in shadowed_rows(config):
        for repeat in range(config.shadow_runs + 1):
            cost = 500 if shadowed.has_body else _run_cost(config, shadowed.row) / config.clients
            yield _cell("shadow", cost, **shadowed._asdict(), repeat=repeat)


def _cell(what: str, cost: float, **arguments: Any) -> Cell:
    return Cell(cell_name(what, **arguments), cost, {"what": what, **arguments})


def _run_cost(config: PrivacyOptions, row: str) -> float:
    """Training steps of a watched run, and of the tests that the observers make."""
    run = plan_of(config, row).config
    texts = 2 * config.clients * config.shard + config.population
    models = 2 * config.clients + 2 if "model" in protocol_of(row).reveals else 1
    return _training_cost(config, row, run.rounds * run.steps) + models * texts * TEST_COST


def _curve_cost(config: PrivacyOptions, setting: Setting, private: bool) -> float:
    there = setting.on(config)
    row = setting.study_row(config)
    steps = (row.rounds or there.rounds_of(there.model)) * there.cut(row.steps or there.steps)
    slow = _DP_STEP if private and setting.trains_by_dp_sgd else 1.0
    longer = there.length / config.length * (_BODY if setting.keeps_features else 1)
    test = TEST_COST * len(tested_rows(config, dataset_of(config))) * longer
    trained = row.slowdown * there.clients * (0 if setting.keeps_features else steps)
    return slow * trained + 2 * test + there.clients / 2


def _training_cost(config: PrivacyOptions, row: str, steps: int) -> float:
    return attacked_row(row).slowdown * config.clients * steps
