"""The text and the language model of a zero-shot study, ready to be measured."""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fedseed.data.plain_text import PlainText, open_text
from fedseed.errors import ConfigError, DataError
from fedseed.models.architecture import State
from fedseed.models.causal import SMALL_GPT2
from fedseed.results.display import Display
from fedseed.studies.zero_shot.language_model import (
    encode_text,
    read_language_model,
    trained_folder,
)
from fedseed.studies.zero_shot.options import TRAINING, ZeroShotOptions


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
def language_of(config: ZeroShotOptions) -> Language:
    """The language model and its text, ready to be measured; made once for each process.

    Raises:
        ConfigError: the model cannot be found, or context and stride do not fit it.
        DataError: the text cannot be read, or has fewer tokens than the context.
    """
    name = language_name(config)
    model, weights, tokenizer = read_language_model(name)
    test = encode_text(tokenizer, text_of(config).test)[: config.test_tokens]
    settings = model.config()
    longest = int(getattr(settings, "max_position_embeddings", None) or settings.n_positions)
    context, stride = _windows(config, name, longest, len(test))
    # A seed names the small model by its registered name, whatever the cache's folder is.
    seed_name = SMALL_GPT2 if config.language_model is None else name
    words = len(tokenizer.decode(test.tolist()).split())
    vocabulary = int(settings.vocab_size)
    return Language(seed_name, weights, tokenizer, test, words, context, stride, vocabulary)


def _windows(config: ZeroShotOptions, name: str, longest: int, tokens: int) -> tuple[int, int]:
    """Context and stride, which fit the model and a text of so many tokens."""
    context = config.context or longest
    if context > longest:
        raise ConfigError(f"{name} takes at most {longest} tokens: lower --context {context}")
    stride = config.stride or max(1, context // 2)
    if stride > context:
        raise ConfigError(f"--stride {stride} is larger than the context of {context}: lower it")
    if tokens < context:
        raise DataError(
            f"--text {config.text} has {tokens} tokens, fewer than the context of {context}: "
            "give a longer text or a smaller --context"
        )
    return context, stride
