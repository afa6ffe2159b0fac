"""The cells of the zero-shot study: a seed assembled and tested, with no step taken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedseed.evaluation.perplexity import (
    sliding_perplexity,
    uniform_perplexity,
    unigram_perplexity,
)
from fedseed.evaluation.reconstruction import total_error
from fedseed.models.architecture import CAUSAL, State
from fedseed.models.registry import build, find_model
from fedseed.randomness import random_key
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, encode, read_seed
from fedseed.seeds.make import make_row
from fedseed.studies.base import dataset_of
from fedseed.studies.measuring import (
    cached_weights,
    measure_baseline_cell,
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
    if arguments["what"] == "language":
        return _language_cell(config, arguments)
    dataset = dataset_of(config)
    weights = cached_weights(original_of(config)[1])
    state, size = _assembled(config, arguments, config.model, dataset.labels, weights)
    module = build(find_model(config.model, dataset.labels), state)
    about = {"bytes": size, "reconstruction_error": total_error(state, weights)}
    return about | run_test(module, config, dataset, rows_by_test(config, dataset))


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
    key = random_key(config.run_seed, f"study/{arguments['repeat']}")
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


def _language_cell(config: ZeroShotOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    language = language_of(config)
    test, words, vocabulary = language.test, language.words, language.vocabulary
    if arguments["row"] == "uniform":
        return uniform_perplexity(vocabulary, len(test) - 1, words).to_record()
    if arguments["row"] == "unigram":
        text = text_of(config)
        # Without text to count in, the text itself: then the baseline is better than it could be.
        train = encode_text(language.tokenizer, text.train) if text.train else test
        return unigram_perplexity(train, test, vocabulary, words).to_record()
    state, size = _assembled(config, arguments, language.name, CAUSAL, language.weights)
    logits = logits_of(build(find_model(language.name, CAUSAL), state))
    perplexity = sliding_perplexity(logits, test, words, language.context, language.stride)
    error = total_error(state, language.weights)
    return {"bytes": size, "reconstruction_error": error, **perplexity.to_record()}
