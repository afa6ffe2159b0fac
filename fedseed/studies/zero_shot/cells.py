"""The cells of the zero-shot study: a seed assembled and tested, with no step taken."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.evaluation.metrics import count_correct
from fedseed.evaluation.perplexity import (
    sliding_perplexity,
    uniform_perplexity,
    unigram_perplexity,
)
from fedseed.evaluation.reconstruction import total_error
from fedseed.linear.counts import mean_counts
from fedseed.linear.lexicon import as_model
from fedseed.models.architecture import CAUSAL, State
from fedseed.models.registry import build, find_model
from fedseed.randomness import random_key
from fedseed.runs.extraction import seed_of_texts
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, encode, read_seed
from fedseed.seeds.kinds.lexicon.format import read_lexicon
from fedseed.seeds.make import make_row, make_seed
from fedseed.studies.base import dataset_of
from fedseed.studies.measuring import (
    LINEAR,
    cached_weights,
    measure_baseline_cell,
    measure_linear_cell,
    original_of,
    rows_by_test,
    run_test,
)
from fedseed.studies.zero_shot.language import language_of, text_of
from fedseed.studies.zero_shot.language_model import encode_text, logits_of
from fedseed.studies.zero_shot.options import ZeroShotOptions


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: baselines, a classifier's seed, or a language model's."""
    config = ZeroShotOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    if arguments["what"] == LINEAR:
        return measure_linear_cell(config)
    if arguments["what"] == "language":
        return _language_cell(config, arguments)
    dataset = dataset_of(config)
    weights = cached_weights(original_of(config)[1])
    state, size = _assembled(config, arguments, config.model, dataset.labels, weights)
    module = build(find_model(config.model, dataset.labels), state)
    tests = rows_by_test(config, dataset)
    about: dict[str, Any] = {"bytes": size}
    if arguments["row"] in config.lexicon_rows(dataset.labels):  # it describes no weights
        about["linear"] = _linear(config, arguments["row"], tests)
    else:
        about["reconstruction_error"] = total_error(state, weights)
    return about | run_test(module, config, dataset, tests)


@functools.lru_cache(maxsize=1)
def _lexicon_seed(config: ZeroShotOptions, row: str) -> Seed:
    """A lexicon of the training texts, as long as the model's texts are here."""
    dataset = dataset_of(config)
    options = config.lexicon_rows(dataset.labels)[row]
    key = random_key(config.run_seed, "study/0")
    return seed_of_texts(dataset, config.model, config.length, key, options)


def _linear(config: ZeroShotOptions, row: str, tests: Mapping[str, Rows]) -> dict[str, Any]:
    """What the linear model that a lexicon is says of the test rows."""
    dataset = dataset_of(config)
    lexicon, *_ = read_lexicon(_lexicon_seed(config, row).payload)
    counts: dict[str, Any] = {}
    for name, rows in tests.items():
        answers = as_model(lexicon).answers(mean_counts(dataset.table, rows, config.length))
        chosen = np.eye(dataset.labels, dtype=np.float32)[answers]
        counts[name] = count_correct(chosen, dataset.table.labels[rows]).to_record()
    return counts


def seed_of(
    config: ZeroShotOptions, arguments: Mapping[str, Any], model: str, labels: int, weights: State
) -> Seed:
    """The seed of a row.

    Args:
        config: the study's options.
        arguments: ``row`` and ``repeat``.
        model: the architecture's name.
        labels: number of classes; 0 for a language model.
        weights: of the original.
    """
    row = arguments["row"]
    if row == "file":
        return read_seed(Path(str(config.seed_file)))
    if row in config.lexicon_rows(labels):
        return _lexicon_seed(config, row)
    key = random_key(config.run_seed, f"study/{arguments['repeat']}")
    if labels == CAUSAL and row in config.unigram_rows():
        options = config.unigram_rows()[row]
        return make_seed("unigram", model, labels, key, None, options, _token_counts(config))
    pca = config.pca_rows(labels == CAUSAL).get(row)
    return make_row("pca" if pca else row, model, labels, key, weights, pca)


def _assembled(
    config: ZeroShotOptions, arguments: Mapping[str, Any], model: str, labels: int, weights: State
) -> tuple[State, int | None]:
    """Weights to measure, and the bytes from which they come; none for the original's own."""
    shapes = find_model(model, labels).shapes()
    if arguments["row"] == "original":
        return {name: weights[name] for name in shapes}, None
    seed = seed_of(config, arguments, model, labels, weights)
    return assemble(seed, shapes), len(encode(seed))


@functools.lru_cache(maxsize=1)
def _counted(config: ZeroShotOptions) -> NDArray[np.int64]:
    """The tokens that unigrams are counted in.

    Without text to count in, the text itself: then they are better than they could be.
    """
    text, language = text_of(config), language_of(config)
    return encode_text(language.tokenizer, text.train) if text.train else language.test


def _token_counts(config: ZeroShotOptions) -> NDArray[np.int64]:
    return np.bincount(_counted(config), minlength=language_of(config).vocabulary)


def _language_cell(config: ZeroShotOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    language = language_of(config)
    test, words, vocabulary = language.test, language.words, language.vocabulary
    if arguments["row"] == "uniform":
        return uniform_perplexity(vocabulary, len(test) - 1, words).to_record()
    if arguments["row"] == "unigram":
        return unigram_perplexity(_counted(config), test, vocabulary, words).to_record()
    state, size = _assembled(config, arguments, language.name, CAUSAL, language.weights)
    logits = logits_of(build(find_model(language.name, CAUSAL), state))
    perplexity = sliding_perplexity(logits, test, words, language.context, language.stride)
    error = total_error(state, language.weights)
    return {"bytes": size, "reconstruction_error": error, **perplexity.to_record()}
