"""What an audit asks of a client that trains by DP-SGD, with a text and without it.

The guarantee is for every text and every recipe, so the auditor chooses them. Every step is on all
texts at a small rate: the model hardly moves, the audited text pushes it in one direction all the
time, and the noise of the steps adds up. A head takes two; momentum counts the first of them more,
which costs the audit a tenth of its power. A whole model takes one. What is put to the test are the
clip, the noise and how steps add up, not what sampling would save.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fedseed.coding.vectors import Vector
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.shard import Shard
from fedseed.data.splits import Rows
from fedseed.protocols.base import ClientTask
from fedseed.protocols.rows import USUAL
from fedseed.protocols.shared_model import HEAD_BYTES
from fedseed.protocols.vector_server import VectorServer
from fedseed.randomness import generator
from fedseed.studies.privacy.attacked_rows import audited_row
from fedseed.studies.privacy.defences import Setting
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.plans import defended, plan_row
from fedseed.training import Trainer

_RECIPE = USUAL.replace(learning_rate=10.0, batch_size=64, schedule="constant", warmup=0.0)
"""Batches of more texts than a client has: every step is on all of them."""
_HEAD_STEPS = 2
_CLIP = 1e-12
"""Far below Adam's epsilon (1e-8), so that a step is the gradient itself, not its signs."""
_TEXTS = 6
"""Texts of the client, beside the one that comes and goes."""
_MODEL, _LENGTH = "bert-tiny", 64
"""Of a random start: what the frozen body is does not matter to the guarantee, and it is quick."""


class TrainedAnswers:
    """Answers of one client that trains a head, or a model."""

    def __init__(
        self, config: PrivacyOptions, setting: Setting, arguments: Mapping[str, Any]
    ) -> None:
        """Plan; see :func:`fedseed.studies.privacy.repeated_audits.repeated_audit`."""
        small = replace(setting, model=_MODEL, max_length=_LENGTH, learning_rate=0.0, clients=1)
        steps = _HEAD_STEPS if setting.keeps_features else 1
        row = audited_row(small.study_row(config), _RECIPE, steps)
        plan = plan_row(small.on(config), row)
        dataset = plan.federated.dataset
        rng = generator(plan.config.run_seed, "privacy/audited texts", arguments["repeat"])
        self._table, self._compute = dataset.table, plan.compute
        self._rows = rng.choice(dataset.train, _TEXTS + 1, replace=False)
        federated = FederatedDataset(plan.config, dataset, (self._rows[:-1],), None)
        run, self.claimed = defended(
            plan.config, config.replace(clip=_CLIP), arguments["epsilon"], plan.given, federated
        )
        self._plan = replace(plan, config=run, federated=federated)
        self._too_little = arguments["too_little"]
        self._setup, self._server = self._plan.setup(), self._plan.server()
        self._payload = self._server.configure(1, [0])[0]

    def scored(self, with_text: bool) -> Callable[[np.random.Generator], float]:
        """A function that asks for one answer, and returns its score.

        Scores are how far the model went where the text alone would have it go.
        """
        assert self._setup.defence is not None
        noise = self._setup.defence.noise / self._too_little
        rows = self._rows if with_text else self._rows[:-1]
        alone = self._trained(self._rows[-1:], 0.0, generator(0, "privacy/alone"))
        direction = alone / np.linalg.norm(alone)

        def score(rng: np.random.Generator) -> float:
            # What is sent is a mean, of a number of texts that counts as public.
            return float(direction @ self._trained(rows, noise, rng)) * len(rows)

        return score

    def _trained(self, rows: Rows, noise: float, rng: np.random.Generator) -> Vector:
        """What the client's answer changes."""
        setup, server = self._setup, self._server
        assert setup.defence is not None
        assert isinstance(server, VectorServer)
        defence = replace(setup.defence, noise=noise)
        trainer = Trainer(self._compute, dp=defence.dp_sgd)
        client = setup.protocol.make_client(setup.options, defence=defence, trainer=trainer)
        shard = Shard(self._table, np.sort(rows), rows[:0])
        sent = client.contribute(ClientTask(self._payload, shard, {}, rng))
        vector = server.decode(sent[HEAD_BYTES:])
        return vector if server.sends_changes else vector - server.start()
