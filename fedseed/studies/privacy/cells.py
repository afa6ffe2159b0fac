"""The cells of the privacy study: watched runs, and accuracy under a budget."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fedseed.studies.federated_run import FederatedRun
from fedseed.studies.privacy.crafted import FEW_QUESTIONS, QUESTIONS, ask_for_words
from fedseed.studies.privacy.defences import Setting
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, plan_of, plan_row, world_of
from fedseed.studies.privacy.planted_run import planted_run
from fedseed.studies.privacy.repeated_audits import repeated_audit
from fedseed.studies.privacy.shadow_runs import shadow_run
from fedseed.studies.privacy.single_client import (
    Arguments,
    memorise,
    update_of_few_texts,
)
from fedseed.studies.privacy.watched_runs import class_mix_features, observe, watch


def cell_name(what: str, **arguments: Any) -> str:
    """The name of a cell, under which its result is kept."""
    known = {name: value for name, value in arguments.items() if name != "trials"}
    if "setting" in known:
        known["setting"] = Setting(**known["setting"]).name
    words = [f"{name} {value}" for name, value in known.items()]
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
    questions = FEW_QUESTIONS if config.quick else QUESTIONS
    return ask_for_words(plan, client_config, federated, world.population, questions)


def _accuracy(config: PrivacyOptions, arguments: Arguments) -> dict[str, Any]:
    """Accuracy of a setting under some budgets, on shards of all training texts."""
    setting = Setting(**arguments["setting"])
    shifted = config.replace(run_seed=config.run_seed + arguments["repeat"])
    row, outcomes, dataset = setting.study_row(config), {}, None
    for epsilon in arguments["epsilons"]:
        plan = plan_row(setting.on(shifted), row, **setting.options(config, epsilon))
        if dataset is None:
            dataset = plan.federated.dataset
        # One table for all budgets: what is known of its texts stays known.
        plan = replace(plan, federated=replace(plan.federated, dataset=dataset))
        outcome = FederatedRun(plan).run()
        outcomes[str(epsilon)] = {
            "counts": outcome["final"] or outcome["newcomers"][0],
            "claimed": plan.budget.epsilon if plan.budget else None,
            "up_bytes": outcome["payload_bytes"]["up"] / plan.config.clients,
        }
    return outcomes


_MEASURES: Mapping[str, Callable[[PrivacyOptions, Arguments], dict[str, Any]]] = {
    "usual": _usual, "skewed": _skewed, "memorise": memorise, "update": update_of_few_texts,
    "shadow": shadow_run, "audit": planted_run, "repeated": repeated_audit, "crafted": _crafted,
    "accuracy": _accuracy,
}  # fmt: skip
