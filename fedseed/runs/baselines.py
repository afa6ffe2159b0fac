"""Baselines for any run: measured, or taken from the official ablation if it has the same."""

from collections.abc import Mapping
from typing import Any

from fedseed.data.options import DEFAULT_LENGTH, DataOptions
from fedseed.data.sources import open_source
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import OutputError
from fedseed.evaluation.baselines import find_baselines
from fedseed.evaluation.linear_curve import SIZES, at_most, lexicon_curve
from fedseed.models.architecture import REGISTRY
from fedseed.models.published import tokenizer_file
from fedseed.results.provenance import repository
from fedseed.results.record import read_record

_STUDIES = ("ablation", "comparison", "zero_shot")
"""Official studies whose baselines a run may take."""
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
    """The same, without measuring when an official study has the same split and texts."""
    known = _official(config, dataset, tests, max_length, "baselines")
    if known is not None:
        accuracies: dict[str, Any] = known
        return accuracies
    return measure_baselines(config, dataset, tests, max_length)


def linear_of_equal_bytes(
    config: DataOptions, dataset: Dataset, tests: Rows, max_length: int, size: int
) -> Mapping[str, Any] | None:
    """The largest of :data:`SIZES` of lexicons that is at most so long; measured, or official.

    Args:
        config: names the data and the model.
        dataset: the split.
        tests: test rows.
        max_length: tokens that the model is given.
        size: bytes.

    Returns:
        See :func:`fedseed.evaluation.linear_curve.lexicon_curve`; None where there is none.
    """
    known = _official(config, dataset, tests, max_length, "linear")
    if known is not None:
        return at_most(known, size)
    fitting = [one for one in SIZES if one <= size]
    return at_most(lexicon_curve(dataset, max_length, tests, fitting[-1:]), size)


def _official(
    config: DataOptions, dataset: Dataset, tests: Rows, max_length: int, name: str
) -> Any | None:
    """What an official study measured of the same split and texts, by its name in ``results``."""
    for study in _STUDIES:
        official = repository() / "results" / "official" / study / "record.json"
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
            if same and name in record["results"]:
                return record["results"][name]
        except (OutputError, KeyError, TypeError):
            continue
    return None
