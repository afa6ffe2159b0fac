"""The cells of the budget study: one training, tested after every number of steps."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.data.splits import Rows
from fedseed.evaluation.metrics import count_correct
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.registry import kind_of_row
from fedseed.studies.base import dataset_of, tested_rows
from fedseed.studies.budget.bodies import body_model, body_seed
from fedseed.studies.budget.frozen import Features, features, train_head
from fedseed.studies.budget.options import BODIES, FROZEN, BudgetOptions
from fedseed.studies.measuring import (
    LINEAR,
    cached_weights,
    measure_baseline_cell,
    measure_linear_cell,
    original_of,
    run_test,
)
from fedseed.studies.seeds import seed_of_row
from fedseed.training import fit
from fedseed.training.precision_and_device import choose

WARMUP = 10
_LEARNT = 0.005
"""Mean training loss, nats over ten steps, below which training stops: nothing is left to learn."""


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: a start, so many examples, tested after every number of steps."""
    config = BudgetOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    if arguments["what"] == LINEAR:
        return measure_linear_cell(config)
    if arguments["start"] == FROZEN:
        return _frozen(config, arguments)
    return (_of_body if arguments["start"] in BODIES else _trained)(config, arguments)


def _chosen(config: BudgetOptions, repeat: int, size: int) -> Rows:
    """The first ``size`` training rows in a repeat's order: larger samples hold the smaller."""
    order = generator(config.run_seed, "budget", 0, repeat).permutation(dataset_of(config).train)
    return np.sort(order[:size])


def _of_body(config: BudgetOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One training for each number of steps, at a rate that ends at zero.

    At a constant rate, with which one training can be tested at many steps, a body ends anywhere
    within several points.
    """
    by_steps: dict[str, Any] = {}
    untrained = "0," if 0 in config.step_counts else ""
    for steps in filter(None, config.step_counts):
        recipe = arguments["recipe"] | {"schedule": "linear", "steps": steps}
        alone, untrained = config.replace(steps=f"{untrained}{steps}"), ""
        by_steps |= _trained(alone, {**arguments, "recipe": recipe})["by_steps"]
    return {"bytes": None, "by_steps": by_steps}


def _trained(config: BudgetOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    dataset, repeat, start = dataset_of(config), arguments["repeat"], arguments["start"]
    encoded = _seed(config, start, random_key(config.run_seed, f"study/{repeat}"))
    recipe = Recipe(**arguments["recipe"])
    rows = _chosen(config, repeat, arguments["samples"])
    tests = {"balanced": tested_rows(config, dataset)}
    clock = _Clock()
    by_steps: dict[str, Any] = {}

    def test(done: int, model: nn.Module) -> None:
        with clock.paused() as trained:
            tested = run_test(model, config, dataset, tests)
        by_steps[str(done)] = tested | {"train_seconds": trained}

    def watch(losses: Sequence[float], model: Callable[[], nn.Module]) -> bool:
        done = len(losses)
        learnt = done >= WARMUP and float(np.mean(losses[-10:])) < _LEARNT
        if done in config.step_counts or learnt:
            test(done, model())
        return learnt

    rng = generator(config.run_seed, "study", arguments["samples"], repeat)
    start_model = body_model(start, encoded) if start in BODIES else grow(encoded)
    if 0 in config.step_counts:
        test(0, grow(encoded))
    fit(start_model, dataset.table, rows, recipe, rng, choose(config.precision), watch=watch)
    return {"bytes": None if start in BODIES else len(encoded), "by_steps": by_steps}


def _seed(config: BudgetOptions, start: str, key: int) -> bytes:
    if start in BODIES:
        return body_seed(config, dataset_of(config).classes, key)
    weights = None
    if kind_of_row(start).is_extracted:
        weights = cached_weights(original_of(config)[1])
    return encode(seed_of_row(config, start, key, weights))


class _Clock:
    """Seconds of training, tests left out."""

    def __init__(self) -> None:
        self._seconds, self._since = 0.0, time.monotonic()

    def paused(self) -> "_Clock":
        self._seconds += time.monotonic() - self._since
        return self

    def __enter__(self) -> float:
        return round(self._seconds, 4)

    def __exit__(self, *error: object) -> None:
        self._since = time.monotonic()


def _frozen(config: BudgetOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All sample sizes of one repeat: the features of the largest hold those of the others."""
    dataset, repeat = dataset_of(config), arguments["repeat"]
    labels, tests = dataset.table.labels, tested_rows(config, dataset)
    rows = _chosen(config, repeat, arguments["sizes"][-1])
    clock = _Clock()
    known = features("minilm", dataset.table, rows, config.length)
    with clock.paused() as seconds:
        unknown = features("minilm", dataset.table, tests, config.length)
    by_size: dict[str, Any] = {}
    for size in arguments["sizes"]:
        chosen = np.searchsorted(rows, _chosen(config, repeat, size))
        watch = _HeadTests(unknown, labels[tests], size * seconds / len(rows))
        rng = generator(config.run_seed, "study", size, repeat)
        train_head(
            known[chosen], labels[rows[chosen]], dataset.labels, config.step_counts, rng, watch.test
        )
        by_size[str(size)] = watch.by_steps
    return {"bytes": None, "by_size": by_size}


class _HeadTests:
    """Tests of a linear head while it is trained, and the seconds until each."""

    def __init__(self, inputs: Features, labels: NDArray[np.int64], seconds_before: float) -> None:
        """Test on these features; computing those of the training texts took some seconds."""
        self._inputs, self._labels = inputs, labels
        self._before = seconds_before
        self._clock = _Clock()
        self.by_steps: dict[str, Any] = {}

    def test(self, done: int, scores: Callable[[Features], Features]) -> None:
        """Test after so many steps."""
        with self._clock.paused() as trained:
            counts = count_correct(scores(self._inputs), self._labels)
        self.by_steps[str(done)] = {
            "balanced": {"correct": list(counts.correct), "examples": list(counts.examples)},
            "train_seconds": round(trained + self._before, 4),
        }
