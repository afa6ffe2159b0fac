"""The cells of the record: each attack's judgement of what was measured, in its place."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fedseed.attacks import attacks
from fedseed.attacks.evidence import Evidence, unpack
from fedseed.attacks.membership.judge import MODEL_ATTACKS, model_scores, rates_of
from fedseed.attacks.tokens.judge import update_cell
from fedseed.evaluation.metrics import ClassCounts
from fedseed.evaluation.repeats import over_repeats
from fedseed.randomness import generator
from fedseed.studies.privacy.attacked_rows import defended_unit, protocol_of
from fedseed.studies.privacy.cells import cell_name
from fedseed.studies.privacy.jobs import (
    audit_repeats,
    crafted_rows,
    curve_repeats,
    defended_rows,
    few_texts,
    memorise_repeats,
    memorising_row,
    update_rows,
    wanted_budgets,
)
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import world_of
from fedseed.studies.privacy.single_client import MEMORISED
from fedseed.studies.privacy.world import CANARY_REPEATS

Measured = Mapping[str, dict[str, Any]]
"""Results of the study's cells, by name."""
RecordCells = Iterator[dict[str, Any]]


def _place(observer: str, row: str, setting: str | None) -> dict[str, Any]:
    """What begins every cell; the setting is None for the watched runs as they are."""
    name = protocol_of(row).name
    return {"observer": observer, "row": row, "protocol": name, "setting": setting}


def observed_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """What each observer learns of each row."""
    repeats = range(config.repeats)
    world = world_of(config, config.clients, config.shard)
    owners = [world.owners(repeat, config.run_seed) for repeat in repeats]
    for observer in config.scenarios():
        for row in config.rows():
            place = _place(observer, row, None)
            usual = [measured.get(cell_name("usual", row=row, repeat=r), {}) for r in repeats]
            if usual[0] and observer in usual[0]["payload_bytes"]:
                sizes = [run["payload_bytes"][observer] for run in usual]
                place["bytes_read"] = float(np.mean(sizes))
            for attack in attacks().values():
                if attack.runs == "special" or (observer, row) not in config.pairs(attack.name):
                    continue
                runs = [measured[cell_name(attack.runs, row=row, repeat=r)] for r in repeats]
                evidence = Evidence(observer, runs, owners, CANARY_REPEATS)
                yield from (place | cell for cell in attack.cells(evidence))


def special_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """Audits, and seeds of the server's choice."""
    for row in config.rows_of("audit"):
        for epsilon in wanted_budgets(config):
            names = [
                cell_name("audit", row=row, epsilon=epsilon, repeat=r)
                for r in range(audit_repeats(config))
            ]
            evidence = Evidence("server", [measured[name] for name in names])
            setting = "no differential privacy" if epsilon is None else f"epsilon {epsilon:g}"
            place = _place("server", row, setting)
            yield from (place | cell for cell in attacks()["audit"].cells(evidence))
    for row in crafted_rows(config):
        names = [cell_name("crafted", row=row, repeat=r) for r in range(config.repeats)]
        evidence = Evidence("malicious-server", [measured[name] for name in names])
        place = _place("malicious-server", row, "crafted seeds")
        yield from (place | cell for cell in attacks()["crafted"].cells(evidence))


def alive_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """Whether the attacks work: on a model that memorises, and on texts that no run has seen."""
    row = memorising_row(config)
    if row is None:
        return
    repeats = range(memorise_repeats(config))
    world = world_of(config, 1, min(MEMORISED, config.shard))
    owners = [world.owners(repeat, config.run_seed) for repeat in repeats]
    names = [cell_name("memorise", row=row, repeat=repeat) for repeat in repeats]
    signals = [unpack(measured[name]["signals"]) for name in names]
    candidates = len(owners[0])
    # Of the texts that nobody held, coins that fell afterwards make up the members.
    unseen = [np.concatenate([values[candidates:], values[:candidates]]) for values in signals]
    coins = [
        generator(config.run_seed, "privacy/coins", repeat).integers(2, size=config.population)
        for repeat in repeats
    ]  # fmt: skip
    made_up = [np.where(coin == 1, 0, -1) for coin in coins]
    for setting, values, members in (
        ("memorising model", signals, owners), ("texts never seen", unseen, made_up),
    ):  # fmt: skip
        scores = model_scores([[one_run] for one_run in values], members)
        for name in MODEL_ATTACKS:
            cell = {"attack": f"membership, {name}", **rates_of(scores[name])}
            yield _place("server", row, setting) | cell


def update_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """What one client's first update of a few texts gives away."""
    for row in update_rows(config):
        for batch in few_texts(config):
            setting = (
                f"{batch['batch']} text(s) of {batch['length']} tokens, {batch['steps']} step(s) "
                f"of {batch['optimiser']}"
            )
            yield _place("server", row, setting) | update_cell(
                measured[cell_name("update", row=row, **batch)]
            )


def defence_curves(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """Accuracy by row and budget."""
    for row in defended_rows(config):
        for epsilon in wanted_budgets(config):
            outcomes = [
                measured[cell_name("accuracy", row=row, epsilon=epsilon, repeat=r)]
                for r in range(curve_repeats(config))
            ]
            counts = [ClassCounts.from_record(outcome["counts"]) for outcome in outcomes]
            yield {
                "row": row, "protocol": protocol_of(row).name, "protects": defended_unit(row),
                "epsilon": epsilon, "epsilon_spent": outcomes[0]["spent"], "delta": config.delta,
                "accuracy": over_repeats(counts),
            }  # fmt: skip
