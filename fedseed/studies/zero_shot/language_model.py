"""The language model that needs no hub: GPT-2's architecture, trained on the given reviews.

It is kept in the cache as a Hugging Face folder (config.json, tokenizer.json,
model.safetensors), and read from there as any published model is.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from fedseed.data.cache import cache_folder
from fedseed.data.plain_text import PlainText
from fedseed.errors import ConfigError
from fedseed.files import new_folder
from fedseed.models.architecture import CAUSAL, State
from fedseed.models.causal import SMALL_GPT2, CausalModel
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import to_state
from fedseed.models.taking import published_weights
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.seeds.codec import assemble
from fedseed.seeds.kinds.random import random_seed

_END = "<|endoftext|>"
_CHUNK = 500
"""Documents tokenised at once: their tokens take far more memory than the texts."""
Progress = Callable[[int, int], None]


def trained_folder(text: PlainText, recipe: Recipe, progress: Progress | None = None) -> Path:
    """Folder of the language model trained on a text's training part; kept in the cache.

    Args:
        text: has a training part.
        recipe: steps, rates and batch size; ``max_length`` tokens in a sequence.
        progress: called with steps done and steps in all.

    Raises:
        ConfigError: the text has nothing to train on.
        OutputError: the cache cannot be written.
    """
    if not text.train:
        raise ConfigError(
            f"{text.name} has no training part: give --language-model, a folder or an id on the hub"
        )
    key = hashlib.sha256(text.sha256.encode() + recipe.encode()).hexdigest()[:32]
    folder = cache_folder() / "language-models" / key
    if not folder.is_dir():
        with new_folder(folder) as temporary:
            _make(temporary, text, recipe, progress)
    return folder


def _make(folder: Path, text: PlainText, recipe: Recipe, progress: Progress | None) -> None:
    from safetensors.numpy import save_file

    model = CausalModel(SMALL_GPT2)
    config = model.config()
    tokenizer = _train_tokenizer(text.train, config.vocab_size)
    tokenizer.save(str(folder / "tokenizer.json"))
    config.architectures = ["GPT2LMHeadModel"]
    config.save_pretrained(folder)
    start = random_seed(SMALL_GPT2, CAUSAL, random_key(0, "language-model"), "bert")
    module = model.build(assemble(start, model.shapes()))
    _train(module, encode_text(tokenizer, text.train), recipe, progress)
    save_file(to_state(module), folder / "model.safetensors")


def _train_tokenizer(texts: tuple[str, ...], vocabulary: int) -> Tokenizer:
    """Byte-level byte-pair encoding (Radford et al. 2019), learnt from the same texts."""
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[_END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_text(tokenizer: Tokenizer, texts: tuple[str, ...]) -> NDArray[np.int64]:
    """Tokens of documents end to end, with an end-of-text token between two if there is one."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    end = tokenizer.token_to_id(_END)
    between = [] if end is None or len(texts) < 2 else [end]
    pieces = [
        np.array(encoding.ids + between, dtype=np.int64)
        for start in range(0, len(texts), _CHUNK)
        for encoding in tokenizer.encode_batch_fast(
            list(texts[start : start + _CHUNK]), add_special_tokens=False
        )
    ]
    return np.concatenate(pieces)


def _train(
    module: nn.Module, ids: NDArray[np.int64], recipe: Recipe, progress: Progress | None
) -> None:
    """Next-token training on one thread; the same bits every time."""
    torch.set_num_threads(1)
    rng = generator(0, "language-model")
    matrices = [part for part in module.parameters() if part.ndim > 1]
    vectors = [part for part in module.parameters() if part.ndim < 2]
    decays = ((matrices, recipe.weight_decay), (vectors, 0.0))
    groups = [{"params": params, "weight_decay": decay} for params, decay in decays]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    size = recipe.max_length
    for step in range(recipe.steps):
        starts = rng.integers(0, len(ids) - size, recipe.batch_size)
        batch = torch.from_numpy(np.stack([ids[start : start + size] for start in starts]))
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate(step)
        scores = logits_of(module)(batch)[:, :-1]
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if progress:
            progress(step + 1, recipe.steps)


def logits_of(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """A Hugging Face language model as a function from token ids to logits."""

    def logits(ids: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = module(input_ids=ids, use_cache=False).logits
        return scores

    return logits


@functools.lru_cache(maxsize=1)
def read_language_model(name: str) -> tuple[CausalModel, State, Tokenizer]:
    """Architecture, weights and tokenizer of a folder or an id on the hub.

    Raises:
        ConfigError: something is missing or cannot be read.
    """
    model = CausalModel(name)
    weights = published_weights(model).weights
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file(name)))
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(f"{name} has no readable tokenizer.json: {error}") from error
    return model, weights, tokenizer
