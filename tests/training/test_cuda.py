"""The same numbers on a GPU; skipped where there is none."""

from typing import Any

import numpy as np
import pytest
import torch

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_federated_dataset
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, FitJob, fit_together, predict

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize(
    ("precision", "tolerance", "apart"),
    [("fp32", 1e-3, 0.0), ("bf16", 0.05, 0.0), ("fp32", 1e-3, 0.5)],
)
def test_a_stack_on_the_gpu(
    small: dict[str, Any], precision: Any, tolerance: float, apart: float
) -> None:
    federated = open_federated_dataset(RunConfig.parse(small))
    recipes = [
        Recipe(
            optimiser="adamw", learning_rate=1e-3 * (1 + apart * number), steps=6, batch_size=8,
            max_length=16, weight_decay=0.1 * apart,
        )
        for number in range(3)
    ]  # fmt: skip

    def jobs() -> list[FitJob]:
        return [
            FitJob(
                grow(encode(random_seed("bert-tiny", 2, number, "scaled"))),
                federated.dataset.table,
                federated.dataset.train, recipes[number], generator(0, "t", 0, number),
            )
            for number in range(3)
        ]  # fmt: skip

    here, there = jobs(), jobs()
    results = [fit_together(here, Compute()), fit_together(there, Compute(precision, "cuda:0"))]
    losses = [[result.train_loss for result in of_device] for of_device in results]
    assert np.allclose(*losses, atol=tolerance)
    for ours, theirs in zip(here, there, strict=True):
        likelihoods = [
            predict(job.model, federated.dataset.table, federated.dataset.test, 16, compute)
            for job, compute in ((ours, Compute()), (theirs, Compute(precision, "cuda:0")))
        ]
        assert np.allclose(*likelihoods, atol=10 * tolerance)
