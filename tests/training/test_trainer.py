"""Threads whose models are trained together."""

import threading
import time
from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_federated_dataset
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, FitJob, StackingTrainer

RECIPE = Recipe(steps=2, batch_size=4, max_length=16)


@pytest.mark.parametrize(("workers", "at_once"), [(1, 5), (2, 5), (2, 2)])
def test_few_threads_work_at_a_time_and_all_models_are_stacked(
    small: dict[str, Any], workers: int, at_once: int
) -> None:
    federated = open_federated_dataset(RunConfig.parse(small))
    seed = encode(random_seed("bert-tiny", 2, 9, "scaled"))
    trainer = StackingTrainer(Compute(), at_once, workers=workers)
    lock, working, most, results = threading.Lock(), [0], [0], []

    def busy(change: int) -> None:
        with lock:
            working[0] += change
            most[0] = max(most[0], working[0])

    def client() -> None:
        busy(1)
        time.sleep(0.01)
        job = FitJob(
            grow(seed),
            federated.dataset.table,
            federated.dataset.train,
            RECIPE,
            generator(0, "client"),
        )
        busy(-1)
        result = trainer.fit(job)
        busy(1)
        time.sleep(0.01)
        results.append(result)
        busy(-1)

    trainer.run_group([client] * 5)
    assert most[0] == workers
    assert [result.steps for result in results] == [2] * 5
    assert trainer.stacks == ([5] if at_once == 5 else [2, 2, 1])
