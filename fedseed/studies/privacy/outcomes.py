"""The cells of the record: each attack's judgement of what was measured, in its place."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fedseed.attacks import attacks
from fedseed.attacks.evidence import Evidence, unpack
from fedseed.attacks.membership.judge import MODEL_ATTACKS, model_scores, rates_of
from fedseed.attacks.tokens.judge import update_cell
from fedseed.randomness import generator
from fedseed.studies.privacy.attacked_rows import adds_up, place_of, protocol_of
from fedseed.studies.privacy.cells import cell_name
from fedseed.studies.privacy.jobs import (
    crafted_rows,
    few_texts,
    memorise_repeats,
    memorising_row,
    update_rows,
)
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import world_of
from fedseed.studies.privacy.shadow_runs import shadowed_rows, world_config
from fedseed.studies.privacy.single_client import MEMORISED
from fedseed.studies.privacy.world import CANARY_REPEATS

Measured = Mapping[str, dict[str, Any]]
"""Results of the study's cells, by name."""
RecordCells = Iterator[dict[str, Any]]


def observed_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """What each observer learns of each row."""
    repeats = range(config.repeats)
    world = world_of(config, config.clients, config.shard)
    owners = [world.owners(repeat, config.run_seed) for repeat in repeats]
    for observer in config.scenarios():
        for row in config.rows():
            place = place_of(observer, row, None)
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


def summed_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """What the server would learn of rows whose contributions add up, were they summed unseen."""
    repeats = range(config.repeats)
    world = world_of(config, config.clients, config.shard)
    owners = [world.owners(repeat, config.run_seed) for repeat in repeats]
    for row in config.rows_of("membership"):
        runs = [measured[cell_name("usual", row=row, repeat=r)] for r in repeats]
        can_be = protocol_of(row).sums is not None and "summed" in runs[0]["signals"]
        if can_be and adds_up(row) and ("server", row) in config.pairs("membership"):
            place = place_of("server", row, "summed unseen") | {"secure_aggregation": True}
            evidence = Evidence("summed", runs, owners)
            yield from (place | cell for cell in attacks()["membership"].cells(evidence))


def many_shadow_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """What an attacker with many shadow runs of one client finds."""
    for shadowed in shadowed_rows(config):
        own = world_config(config, shadowed)
        world, repeats = world_of(own, 1, own.shard), range(config.shadow_runs + 1)
        names = [cell_name("shadow", **shadowed._asdict(), repeat=r) for r in repeats]
        owners = [world.owners(repeat, config.run_seed) for repeat in repeats]
        evidence = Evidence("server", [measured[name] for name in names], owners)
        place = place_of("server", shadowed.row, f"{config.shadow_runs} shadow runs")
        place["model"] = shadowed.model
        yield from (place | cell for cell in attacks()["many-shadows"].cells(evidence))


def special_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """Seeds of the server's choice."""
    for row in crafted_rows(config):
        names = [cell_name("crafted", row=row, repeat=r) for r in range(config.repeats)]
        evidence = Evidence("malicious-server", [measured[name] for name in names])
        place = place_of("malicious-server", row, "crafted seeds")
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
            yield place_of("server", row, setting) | cell


def update_cells(config: PrivacyOptions, measured: Measured) -> RecordCells:
    """What one client's first update of a few texts gives away."""
    for row in update_rows(config):
        for batch in few_texts(config):
            setting = (
                f"{batch['batch']} text(s) of {batch['length']} tokens, {batch['steps']} step(s) "
                f"of {batch['optimiser']}"
            )
            yield place_of("server", row, setting) | update_cell(
                measured[cell_name("update", row=row, **batch)]
            )
