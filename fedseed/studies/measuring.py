"""What several studies measure: test runs on named test sets, baselines, one class alone."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from fedseed.data.federated_dataset import subset
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.evaluation.linear_curve import SIZES, hashed_curves, lexicon_curve
from fedseed.evaluation.metrics import ClassCounts, count_correct
from fedseed.models.architecture import REGISTRY, State
from fedseed.results.display import Display
from fedseed.runs.baselines import measure_baselines
from fedseed.runs.original import Original, original_weights
from fedseed.seeds.weights import read_weights
from fedseed.studies.base import dataset_of, tested_rows
from fedseed.studies.cells import Cell
from fedseed.studies.options import StudyOptions
from fedseed.training import predict
from fedseed.training.precision_and_device import choose

TEST_COST = 0.0125
"""Training steps of 32 that testing one example costs."""
BASELINE_COST = 400.0
"""Training steps that the baselines cost."""
LINEAR, LINEAR_COST = "linear", 2000.0
"""Name of the cell of the linear models of equal bytes, and training steps that they cost."""
QUICK_TEXTS = 2000
"""Training texts of them in a ``--quick`` study, about."""
_DOCUMENTS_TRAIN, _DOCUMENTS_TEST = 320, 1000


def one_class(dataset: Dataset) -> tuple[Rows, Rows]:
    """What the seed documents trained and tested on: the head of a file sorted by label.

    That is the first class that occurs in both splits.
    """
    labels = dataset.table.labels
    first = np.intersect1d(labels[dataset.train], labels[dataset.test]).min()
    train, test = (rows[labels[rows] == first] for rows in (dataset.train, dataset.test))
    return train[:_DOCUMENTS_TRAIN], test[:_DOCUMENTS_TEST]


def rows_by_test(
    config: StudyOptions, dataset: Dataset, most_balanced: int | None = None
) -> dict[str, Rows]:
    """Test rows of all classes (at most so many), and of one."""
    balanced = tested_rows(config, dataset)
    return {
        "balanced": subset(dataset, balanced, most_balanced),
        "one_class": one_class(dataset)[1][: len(balanced)],
    }


def run_test(
    module: nn.Module, config: StudyOptions, dataset: Dataset, tests: Mapping[str, Rows]
) -> dict[str, dict[str, list[int]]]:
    """Correct predictions and examples by class, for each named set of rows."""
    whole = np.unique(np.concatenate(list(tests.values())))
    compute = choose(config.precision)
    likelihoods = predict(module, dataset.table, whole, config.length, compute)
    results = {}
    for name, rows in tests.items():
        part = likelihoods[np.searchsorted(whole, rows)]
        counts = count_correct(part, dataset.table.labels[rows])
        results[name] = counts.to_record()
    return results


def counts_of(results: Sequence[Mapping[str, Any]], test_set: str) -> list[ClassCounts]:
    """The counts of some cells' results, as :func:`run_test` left them."""
    return [ClassCounts.from_record(result[test_set]) for result in results]


def baseline_cell() -> Cell:
    """The cell of the baselines, which every study has."""
    return Cell("baselines", BASELINE_COST, {"what": "baselines"})


def measure_baseline_cell(config: StudyOptions) -> dict[str, Any]:
    """The baselines on a study's test rows."""
    dataset = dataset_of(config)
    tests = tested_rows(config, dataset)
    return {"baselines": measure_baselines(config, dataset, tests, config.length)}


def linear_cell() -> Cell:
    """The cell of the linear models of equal bytes."""
    return Cell(LINEAR, LINEAR_COST, {"what": LINEAR})


def measure_linear_cell(config: StudyOptions) -> dict[str, Any]:
    """Linear models of 64 bytes to 64 KB on a study's test rows.

    Nothing for models with a vocabulary of their own, whose tokens the lexicons do not know. A
    ``--quick`` study learns them from few texts, in few sizes.
    """
    if config.model not in REGISTRY:
        return {LINEAR: []}
    dataset, sizes = dataset_of(config), SIZES
    tests = tested_rows(config, dataset)
    if config.quick:
        few = dataset.train[:: -(-len(dataset.train) // QUICK_TEXTS)]
        dataset, sizes = dataclasses.replace(dataset, train=few), SIZES[::4]
    chosen = lexicon_curve(dataset, config.length, tests, sizes)
    return {LINEAR: chosen + hashed_curves(dataset, config.length, tests, sizes)}


def original_of(config: StudyOptions, display: Display | None = None) -> tuple[Original, Path]:
    """The classifier's original and the file of its weights; trained if the cache has none."""
    progress = None if display is None else display.original
    dataset = dataset_of(config)
    precision = choose(config.precision).precision
    return original_weights(
        dataset, config.model, config.length, progress, config.original_steps, precision
    )


@functools.lru_cache(maxsize=1)
def cached_weights(path: Path) -> State:
    """Weights of a file, read once for each process."""
    return read_weights(path)
