"""Audits of noised counts: many answers of real clients, with a text and without it."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.audit.repeated import lower_bounds
from fedseed.attacks.word_counts import Reading
from fedseed.data.shard import Shard
from fedseed.discovery import load
from fedseed.protocols.base import ClientTask, Setup
from fedseed.randomness import generator
from fedseed.runs.plan import Plan
from fedseed.studies.privacy.defences import Setting
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import plan_row
from fedseed.studies.privacy.world import CLS, SEP, with_texts

_BUCKETS = 4096
"""Numbers of a class in an audited answer: fewer than in a run, so that an answer is quick."""
_TEXTS = 6
"""Texts of one client, beside the one that comes and goes."""


def counts_audit(config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds on epsilon from answers of the clients of a sum, or of a single one.

    Args:
        config: of the study.
        arguments: ``setting``, ``epsilon``, ``repeat``, and ``too_little``: by which the noise is
            divided, as a wrong accountant would.
    """
    setting = Setting(**arguments["setting"])
    plan = _plan(config, setting, arguments["epsilon"])
    answers = config.audit_answers
    inside = _scores(plan, setting, arguments, True, answers)
    outside = _scores(plan, setting, arguments, False, answers)
    found = lower_bounds(inside, outside, config.delta)
    assert plan.budget is not None
    return {
        "claimed": plan.budget.epsilon, "epsilon": max(found.general, found.gaussian),
        "general": found.general, "gaussian": found.gaussian, "answers": found.answers,
    }  # fmt: skip


def _plan(config: PrivacyOptions, setting: Setting, epsilon: float) -> Plan:
    row = setting.study_row(config)
    few = replace(row, options={**row.options, "buckets": _BUCKETS})
    return plan_row(setting.on(config), few, **setting.options(config, epsilon))


def _scores(
    plan: Plan, setting: Setting, arguments: Mapping[str, Any], with_text: bool, answers: int
) -> list[float]:
    """What stands at the numbers that the text changes, in every answer."""
    setup, config = plan.setup(), plan.config
    assert setup.defence is not None
    reading = _reading(setup)
    noise = setup.defence.noise / arguments["too_little"]
    client = setup.protocol.make_client(
        setup.options, defence=replace(setup.defence, noise=noise), trainer=setup.trainer
    )
    count = config.resolved_threshold if setting.secure else 1
    shards, words, label = _shards(plan, count, arguments["repeat"], with_text)
    payload = plan.server().configure(1, [0])[0]
    scores = []
    for answer in range(answers):
        rng = generator(arguments["repeat"], f"privacy/answers/{with_text}", answer)
        tasks = [ClientTask(payload, shard, {}, rng) for shard in shards]
        total = functools.reduce(np.add, (client.addend(task, count) for task in tasks))
        seen = reading.of_sum(total, count)
        places = np.isin(seen.tokens, words)
        scores.append(float(seen.counts[label, places].sum() + seen.texts[label]))
    return scores


def _reading(setup: Setup) -> Reading:
    assert setup.protocol.words is not None  # what is counted has words
    reading: Reading = load(setup.protocol.words)(setup)
    return reading


def _shards(
    plan: Plan, clients: int, repeat: int, with_text: bool
) -> tuple[list[Shard], NDArray[np.int64], int]:
    """Shards of few texts, the first with one more; that text's words, and its class."""
    dataset, rng = plan.federated.dataset, generator(repeat, "privacy/audited text")
    most = plan.max_length - 2  # [CLS] and [SEP] stand beside the words
    words = _reading(plan.setup()).most_telling(most, rng)
    label = int(rng.integers(dataset.labels))
    text = np.concatenate([[CLS], words, [SEP]])[None]
    table = with_texts(dataset.table, text, np.array([label]))
    rows = rng.choice(dataset.train, clients * _TEXTS, replace=False).reshape(clients, _TEXTS)
    nothing = rows[0, :0]
    shards = [Shard(table, np.sort(part), nothing) for part in rows]
    if with_text:
        added = np.append(shards[0].train, len(table.labels) - 1)
        shards[0] = Shard(table, added, nothing)
    return shards, words, label
