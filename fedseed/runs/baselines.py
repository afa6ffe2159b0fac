"""Baselines for any run: measured, or taken from the official ablation if it has the same."""

from typing import Any

from fedseed.data.options import DEFAULT_LENGTH, DataOptions
from fedseed.data.sources import open_source
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import OutputError
from fedseed.evaluation.baselines import find_baselines
from fedseed.models.architecture import REGISTRY
from fedseed.models.published import tokenizer_file
from fedseed.results.provenance import repository
from fedseed.results.record import read_record

_QUICK = 2000
"""Training examples that the baselines of a ``--quick`` run learn from, about."""


def measure_baselines(
    config: DataOptions, dataset: Dataset, tests: Rows, max_length: int
) -> dict[str, Any]:
    """The baselines' accuracies on some test rows, by name.

    Args:
        config: names the data and the model, whose tokenizer cuts the texts.
        dataset: the split.
        tests: test rows.
        max_length: tokens that the model is given.
    """
    source = open_source(config.data, config.wanted)
    most = _QUICK if config.quick else None
    return find_baselines(dataset, source, tokenizer_file(config.model), max_length, tests, most)


def known_or_measured_baselines(
    config: DataOptions, dataset: Dataset, tests: Rows, max_length: int
) -> dict[str, Any]:
    """The same, without measuring when the official ablation has the same split and texts."""
    official = repository() / "results" / "official" / "ablation" / "record.json"
    try:
        record = read_record(official)
        theirs = record["config"]
        same = (
            record["provenance"]["dataset"]["sha256"] == dataset.sha256
            and len(tests) == len(dataset.test)
            and theirs["test_examples"] is None
            and (theirs["max_length"] or DEFAULT_LENGTH) == max_length
            and config.model in REGISTRY  # they share one vocabulary
            and not theirs["quick"]
        )
        if same:
            accuracies: dict[str, Any] = record["results"]["baselines"]
            return accuracies
    except (OutputError, KeyError, TypeError):
        pass
    return measure_baselines(config, dataset, tests, max_length)
