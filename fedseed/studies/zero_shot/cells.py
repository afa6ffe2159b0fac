"""The cells of the zero-shot study: a seed assembled and tested, with no step taken."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from tokenizers import Tokenizer

from fedseed.data.plain_text import PlainText, open_text
from fedseed.errors import ConfigError, DataError
from fedseed.evaluation.perplexity import (
    sliding_perplexity,
    uniform_perplexity,
    unigram_perplexity,
)
from fedseed.evaluation.reconstruction import total_error
from fedseed.models.architecture import CAUSAL, State
from fedseed.models.causal import SMALL_GPT2
from fedseed.models.registry import build, find_model
from fedseed.options import is_whole, refuse_no_path
from fedseed.randomness import random_key
from fedseed.results.display import Display
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, encode, read_seed
from fedseed.seeds.kinds.pca import DEFAULT_STEP, read_budget
from fedseed.seeds.make import make_row
from fedseed.studies.base import StudyOptions, dataset_of
from fedseed.studies.measuring import (
    cached_weights,
    floor_cell,
    original_of,
    rows_by_test,
    run_test,
)
from fedseed.studies.zero_shot.language_model import (
    TRAINING,
    encode_text,
    logits_of,
    read_language_model,
    trained_folder,
)

_MOST_TOKENS = 40_000


class ZeroShotOptions(StudyOptions):
    """Options of the zero-shot study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "original_steps": 20, "k": "2,10", "texts": 400,
        "language_steps": 10, "test_tokens": 3000,
    }  # fmt: skip

    part: Literal["both", "classifier", "language"] = Field(
        "both", description="Measure the classifier, the causal language model, or both. --model "
        "NAME alone measures what NAME is."
    )  # fmt: skip
    language_model: str | None = Field(
        None, description="A causal language model, such as gpt2: an id on the hub or a folder; "
        "without it a small GPT-2 that is trained on the text and kept in the cache."
    )  # fmt: skip
    text: str = Field(
        "bundled", description="Text for perplexity: bundled (the reviews), wikitext-2 (from the "
        "hub), hub:NAME, or a UTF-8 file."
    )  # fmt: skip
    texts: int | None = Field(
        None, ge=1, description="Documents of the text to use, about, in each part."
    )
    test_tokens: int = Field(
        _MOST_TOKENS, ge=2, description="Tokens of the text to score; the first so many."
    )
    context: int | None = Field(
        None, ge=2, description="Tokens in a window; without it as many as the model takes."
    )
    stride: int | None = Field(
        None, ge=1, description="Tokens from one window to the next; without it half a context."
    )
    k: str = Field(
        "2,5,10,16,32,64", description="Components of the pca seeds, separated by commas."
    )
    step: float = Field(
        DEFAULT_STEP, gt=0, description="Step of the pca seed's quantiser, as a share of a "
        "tensor's norm."
    )  # fmt: skip
    budget: str = Field(
        "*word_embeddings*=2,*=16", description="One more pca seed with so many components by "
        "pattern of a tensor's name; empty for none."
    )  # fmt: skip
    seed_file: str | None = Field(None, description="A .fseed file to measure as well.")
    language_steps: int = Field(
        TRAINING.steps, ge=1, description="Steps that the small language model is trained for."
    )

    @field_validator("text", "seed_file", "language_model")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        return refuse_no_path(value)

    @field_validator("k")
    @classmethod
    def _is_a_list(cls, value: str) -> str:
        if not value or not all(is_whole(word.strip()) for word in value.split(",")):
            raise ValueError("write whole numbers separated by commas, such as 2,10,32")
        return value

    @field_validator("budget")
    @classmethod
    def _is_a_budget(cls, value: str) -> str:
        read_budget(value)
        return value

    @property
    def components(self) -> list[int]:
        """Numbers of components to measure."""
        return [int(word) for word in self.k.split(",")]

    def pca_rows(self, language: bool) -> dict[str, dict[str, Any]]:
        """Options of pca seeds by the names of their rows."""
        rows: dict[str, dict[str, Any]] = {
            f"pca({k})": {"k": k, "step": self.step} for k in self.components
        }
        if self.budget and not language:
            budget = read_budget(self.budget)
            rows["pca by budget"] = {
                "k": min(budget.values()), "step": self.step, "budget": budget,
            }  # fmt: skip
        return rows


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: floors, a classifier's seed, or a language model's."""
    config = ZeroShotOptions.model_validate_json(config_json)
    if arguments["what"] == "floors":
        return floor_cell(config)
    if arguments["what"] == "language":
        return _language_cell(config, arguments)
    dataset = dataset_of(config)
    weights = cached_weights(original_of(config)[1])
    state, size = _assembled(config, arguments, config.model, dataset.labels, weights)
    module = build(find_model(config.model, dataset.labels), state)
    about = {"bytes": size, "error": total_error(state, weights)}
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


@functools.lru_cache(maxsize=1)
def text_of(config: ZeroShotOptions) -> PlainText:
    """The text that language models are measured on, read once for each process."""
    return open_text(config.text, config.texts)


def language_name(config: ZeroShotOptions, display: Display | None = None) -> str:
    """The language model: what was asked for, or the folder of the one trained here."""
    if config.language_model is not None:
        return config.language_model
    recipe = TRAINING.replace(steps=config.language_steps)
    progress = None if display is None else display.language_model
    return str(trained_folder(text_of(config), recipe, progress))


@functools.lru_cache(maxsize=1)
def language_of(config: ZeroShotOptions) -> "Language":
    """The language model and its text, ready to be measured; made once for each process.

    Raises:
        ConfigError: the model cannot be found, or context and stride do not fit it.
        DataError: the text cannot be read, or has fewer tokens than the context.
    """
    name = language_name(config)
    model, weights, tokenizer = read_language_model(name)
    text = text_of(config)
    test = encode_text(tokenizer, text.test)[: config.test_tokens]
    settings = model.config()
    longest = int(getattr(settings, "max_position_embeddings", None) or settings.n_positions)
    context = config.context or longest
    if context > longest:
        raise ConfigError(f"{name} takes at most {longest} tokens: lower --context {context}")
    stride = config.stride or max(1, context // 2)
    if stride > context:
        raise ConfigError(f"--stride {stride} is larger than the context of {context}: lower it")
    if len(test) < context:
        raise DataError(
            f"--text {config.text} has {len(test)} tokens, fewer than the context of {context}: "
            "give a longer text or a smaller --context"
        )
    # A seed names the small model by its registered name, whatever the cache's folder is.
    seed_name = SMALL_GPT2 if config.language_model is None else name
    words = len(tokenizer.decode(test.tolist()).split())
    vocabulary = int(settings.vocab_size)
    return Language(seed_name, weights, tokenizer, test, words, context, stride, vocabulary)


@dataclass(frozen=True)
class Language:
    """A language model and the text it is measured on."""

    name: str
    weights: State
    tokenizer: Tokenizer
    test: NDArray[np.int64]
    words: int
    context: int
    stride: int
    vocabulary: int

    @property
    def sha256(self) -> str:
        """Digest of the weights."""
        whole = hashlib.sha256()
        for values in self.weights.values():
            whole.update(np.ascontiguousarray(values).tobytes())
        return whole.hexdigest()


def _language_cell(config: ZeroShotOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    own = language_of(config)
    if arguments["row"] == "uniform":
        return uniform_perplexity(own.vocabulary, len(own.test) - 1, own.words).to_record()
    if arguments["row"] == "unigram":
        text = text_of(config)
        # Without text to count in, the text itself: then the baseline is better than it could be.
        train = encode_text(own.tokenizer, text.train) if text.train else own.test
        return unigram_perplexity(train, own.test, own.vocabulary, own.words).to_record()
    state, size = _assembled(config, arguments, own.name, CAUSAL, own.weights)
    module = build(find_model(own.name, CAUSAL), state)
    found = sliding_perplexity(logits_of(module), own.test, own.words, own.context, own.stride)
    return {"bytes": size, "error": total_error(state, own.weights), **found.to_record()}
