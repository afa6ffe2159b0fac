"""What an audit asks of clients that count words: noised counts, with a text and without it."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.tokens.vocabulary import CLS, SEP
from fedseed.attacks.word_counts import Reading
from fedseed.data.shard import Shard
from fedseed.discovery import load
from fedseed.protocols.base import ClientTask, Setup
from fedseed.randomness import generator
from fedseed.runs.plan import Plan
from fedseed.studies.privacy.defences import Setting
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import plan_row
from fedseed.studies.privacy.world import with_texts

_BUCKETS = 4096
"""Numbers of a class in an audited answer: fewer than in a run, so that an answer is quick."""
_TEXTS = 6
"""Texts of one client, beside the one that comes and goes."""


class CountedAnswers:
    """Answers of the clients of one sum, or of a single client that noises its own."""

    def __init__(
        self, config: PrivacyOptions, setting: Setting, arguments: Mapping[str, Any]
    ) -> None:
        """Plan; see :func:`fedseed.studies.privacy.repeated_audits.repeated_audit`."""
        row = setting.study_row(config)
        few = replace(row, options={**row.options, "buckets": _BUCKETS})
        self._plan = plan_row(
            setting.on(config), few, **setting.options(config, arguments["epsilon"])
        )
        self._secure, self._repeat = setting.secure, arguments["repeat"]
        self._too_little = arguments["too_little"]
        assert self._plan.budget is not None
        self.claimed = self._plan.budget.epsilon

    def scored(self, with_text: bool) -> Callable[[np.random.Generator], float]:
        """A function that asks for one answer, and returns its score.

        Scores are what stands at the numbers that the text changes.
        """
        setup = self._plan.setup()
        assert setup.defence is not None
        reading = _reading(setup)
        noise = setup.defence.noise / self._too_little
        client = setup.protocol.make_client(
            setup.options, defence=replace(setup.defence, noise=noise), trainer=setup.trainer
        )
        count = self._plan.config.resolved_threshold if self._secure else 1
        shards, words, label = _shards(self._plan, count, self._repeat, with_text)
        payload = self._plan.server().configure(1, [0])[0]

        def score(rng: np.random.Generator) -> float:
            tasks = [ClientTask(payload, shard, {}, rng) for shard in shards]
            total = functools.reduce(np.add, (client.addend(task, count) for task in tasks))
            seen = reading.of_sum(total, count)
            places = np.isin(seen.tokens, words)
            return float(seen.counts[label, places].sum() + seen.texts[label])

        return score


def _reading(setup: Setup) -> Reading:
    assert setup.protocol.words is not None  # what is counted has words
    reading: Reading = load(setup.protocol.words)(setup)
    return reading


def _shards(
    plan: Plan, clients: int, repeat: int, with_text: bool
) -> tuple[list[Shard], NDArray[np.int64], int]:
    """Shards of few texts, the first with one more; that text's words, and its class."""
    dataset = plan.federated.dataset
    rng = generator(plan.config.run_seed, "privacy/audited text", repeat)
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
