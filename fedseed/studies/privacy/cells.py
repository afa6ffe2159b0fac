"""The cells of the privacy study: watched runs, and accuracy under a budget."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fedseed.studies.federated_run import FederatedRun
from fedseed.studies.privacy.attacked_rows import attacked_row, defended_unit, protection_of
from fedseed.studies.privacy.crafted import ask_for_words
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, plan_of, plan_row, world_of
from fedseed.studies.privacy.single_client import (
    Arguments,
    audit_run,
    memorise,
    update_of_few_texts,
)
from fedseed.studies.privacy.watched_runs import class_mix_features, observe, watch


def cell_name(what: str, **arguments: Any) -> str:
    """The name of a cell, under which its result is kept."""
    words = [f"{name} {value}" for name, value in arguments.items() if name != "trials"]
    return ", ".join([what, *words])


def measure(config_json: str, arguments: Arguments) -> dict[str, Any]:
    """Measure one cell."""
    config = PrivacyOptions.model_validate_json(config_json)
    return _MEASURES[arguments["what"]](config, arguments)


def _usual(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """A run with planted canaries, and what every observer can compute."""
    plan, repeat = plan_of(config, arguments["row"]), arguments["repeat"]
    world = world_of(config, config.clients, config.shard)
    client_config = clients_of(plan, repeat)
    federated = world.federated(client_config, plan.federated.public, repeat, config.run_seed)
    return observe(watch(plan, client_config, federated), world, plan, federated)


def _skewed(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """One round among clients of unequal class mixes."""
    whole, repeat = plan_of(config, arguments["row"]), arguments["repeat"]
    plan = replace(whole, config=whole.config.replace(rounds=1))
    world = world_of(config, config.clients, config.shard)
    client_config = clients_of(plan, repeat)
    public = plan.federated.public
    federated = world.skewed_dataset(client_config, public, repeat, config.run_seed)
    counts = federated.label_counts()[: config.clients]
    return {
        "features": class_mix_features(watch(plan, client_config, federated), world, plan),
        "shares": [[count / sum(client) for count in client] for client in counts],
    }  # fmt: skip


def _crafted(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """What a server that chooses the seed learns of words, where metrics alone come up."""
    plan, repeat = plan_of(config, arguments["row"]), arguments["repeat"]
    world = world_of(config, config.clients, config.shard)
    client_config = clients_of(plan, repeat)
    federated = world.federated(client_config, None, repeat, config.run_seed)
    return ask_for_words(plan, client_config, federated, world.population)


def _accuracy(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """Accuracy of a row under a budget, on shards of all training texts."""
    row, epsilon, repeat = (arguments[key] for key in ("row", "epsilon", "repeat"))
    unit = defended_unit(row)
    assert unit is not None
    options: dict[str, Any] = {}
    if epsilon is not None:
        options = {"privacy": unit, "epsilon": epsilon, "delta": config.delta}
        if protection_of(row, unit).needs_clip:
            options["clip"] = config.clip
    shifted = config.replace(run_seed=config.run_seed + repeat)
    plan = plan_row(shifted, attacked_row(row), **options)
    outcome = FederatedRun(plan).run()
    counts = outcome["final"] or outcome["newcomers"][0]
    spent = plan.budget.epsilon if plan.budget else None
    return {"counts": counts, "spent": spent, "payload_bytes": outcome["payload_bytes"]}


_MEASURES: Mapping[str, Callable[[PrivacyOptions, Arguments], dict[str, Any]]] = {
    "usual": _usual, "skewed": _skewed, "memorise": memorise, "update": update_of_few_texts,
    "audit": audit_run, "crafted": _crafted, "accuracy": _accuracy,
}  # fmt: skip
