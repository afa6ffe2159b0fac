"""One run of a client with thousands of planted texts, each put in by its own coin: the audit.

The auditor chooses texts and recipe so that the texts hardly disturb each other. Every planted text
is one word that no other planted text has, five times: what it pushes most is that word's own
embedding. Under differential privacy one step is taken on everything. Whoever sees the model checks
whether a word's embedding has gone where its text alone would have it go; the noise that stands
there is what the guarantee rests on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.attacks.audit.one_run import audit
from fedseed.attacks.replay import start_model
from fedseed.attacks.tokens.vocabulary import FIRST_WORD
from fedseed.coding.vectors import Vector
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset, TokenTable
from fedseed.models.registry import to_state
from fedseed.protocols.base import Setup
from fedseed.protocols.rows import BEST, USUAL
from fedseed.randomness import generator
from fedseed.studies.privacy.attacked_rows import attacked_row, audited_row
from fedseed.studies.privacy.options import MOST_PLANTED, PrivacyOptions
from fedseed.studies.privacy.plans import clients_of, defended, plan_row, world_of
from fedseed.studies.privacy.single_client import contributed_model
from fedseed.studies.privacy.watched_runs import watch
from fedseed.studies.privacy.world import with_texts
from fedseed.training import DpSgd, FitJob, Trainer
from fedseed.training.generic import WORD_EMBEDDINGS

_PASSES = 3
"""Over the client's texts, without differential privacy."""
_ONE_STEP = USUAL.replace(
    learning_rate=10.0, batch_size=65_535, schedule="constant", warmup=0.0
)  # fmt: skip
"""On all texts; by Adam, which takes gradients as they are where they are far below its epsilon."""
_CLIP = 1e-9
"""A gradient's length: after division by thousands of texts its entries are far below 1e-8."""
_REPEATED = 5


@dataclass(frozen=True)
class _Planted:
    """Texts of one word each."""

    table: TokenTable
    rows: Rows
    words: NDArray[np.int64]
    inside: NDArray[np.bool_]


def audited_steps(config: PrivacyOptions) -> int:
    """Steps of a run without differential privacy, on texts and half of those planted."""
    texts = config.shard + config.audit_secrets // 2
    return max(1, _PASSES * texts // BEST.batch_size)


def planted_run(config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One run with texts that coins decide on, and what can be said of the coins."""
    epsilon, repeat = arguments["epsilon"], arguments["repeat"]
    recipe = _ONE_STEP if epsilon else BEST.replace(schedule="constant")
    steps = 1 if epsilon else audited_steps(config)
    row = audited_row(attacked_row(arguments["row"]), recipe, steps)
    plan = plan_row(config.replace(clients=1), row)
    world = world_of(config, config.clients, config.shard)
    planted = _plant(world.dataset, config, repeat)
    shard = np.concatenate([world.candidates[: config.shard], planted.rows[planted.inside]])
    dataset = replace(world.dataset, table=planted.table)
    run, claimed = clients_of(plan, repeat), None
    federated = FederatedDataset(run, dataset, (shard, world.newcomer), None)
    if epsilon:
        run, claimed = defended(
            run, config.replace(clip=_CLIP), epsilon, plan.given, federated
        )  # fmt: skip
        federated = replace(federated, config=run)
    watched = watch(replace(plan, federated=federated), run, federated)
    scores = _scores(contributed_model(watched), watched.setup, planted)
    found = audit(
        scores, planted.inside, config.delta, config.audit_confidence, gaussian=epsilon is not None
    )  # fmt: skip
    return {"audit": found, "claimed": claimed}


def _plant(dataset: Dataset, config: PrivacyOptions, repeat: int) -> _Planted:
    rng, count = generator(config.run_seed, "privacy/audit", repeat), config.audit_secrets
    words = rng.permutation(np.arange(FIRST_WORD, FIRST_WORD + MOST_PLANTED))[:count]
    texts = np.repeat(words[:, None], _REPEATED, axis=1)
    whole = with_texts(dataset.table, texts, rng.integers(dataset.labels, size=count))
    rows = np.arange(len(dataset.table.labels), len(whole.labels))
    return _Planted(whole, rows, words, rng.integers(2, size=count).astype(np.bool_))


def _scores(model: nn.Module, setup: Setup, planted: _Planted) -> Vector:
    """How far every word's embedding went where its text alone would have it go."""
    start = _embeddings(start_model(setup), planted.words)
    moved = _embeddings(model, planted.words) - start
    pushed = _embeddings(_trained_on_planted(setup, planted), planted.words) - start
    lengths = np.linalg.norm(pushed, axis=1)
    scores: Vector = (moved * pushed).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    return scores


def _trained_on_planted(setup: Setup, planted: _Planted) -> nn.Module:
    """The model after one step on all planted texts, without noise."""
    model, recipe = start_model(setup), _ONE_STEP.replace(steps=1, max_length=_REPEATED)
    trainer = Trainer(setup.trainer.compute, dp=DpSgd(_CLIP, 0.0))
    trainer.fit(FitJob(model, planted.table, planted.rows, recipe, generator(0, "privacy/pushed")))
    return model


def _embeddings(model: nn.Module, words: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of some words, shape ``(words, features)``."""
    (table,) = (v for name, v in to_state(model).items() if name.endswith(WORD_EMBEDDINGS))
    return table[words].astype(np.float64)
