"""Saving a classifier as a folder that transformers loads, without a line of code of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedseed.errors import ConfigError
from fedseed.files import write_bytes, write_text
from fedseed.models.architecture import Architecture, State
from fedseed.models.causal import CausalModel
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import Model

CARD = "README.md"
_INPUTS = ("input_ids", "attention_mask")
_SPECIAL = {
    "cls_token": ("[CLS]", "<s>"), "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"), "unk_token": ("[UNK]", "<unk>"),
}  # fmt: skip
"""What the special tokens of tokenizers are called; those that one lacks are left out."""


def save_classifier(
    folder: Path, model: Model, state: State, classes: Sequence[str], max_length: int, card: str
) -> None:
    """Write ``config.json``, ``model.safetensors``, the tokenizer's files and the card.

    ``pipeline("text-classification", model=folder)`` of transformers gives the probabilities that
    :func:`fedseed.training.predict` gives in fp32; with ``truncation=True`` also of texts that are
    longer than the model reads.

    Args:
        folder: made when it is missing.
        model: a classifier's architecture.
        state: all weights by Hugging Face's names.
        classes: names by class number.
        max_length: tokens of a text that the model was made to read, special tokens included.
        card: Markdown about the model.

    Raises:
        ConfigError: the model is of language, not a classifier.
        OutputError: a file cannot be written.
    """
    from safetensors.numpy import save

    config, padding = _config(model, classes)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_file(model.name)
    about = _tokenizer_config(tokenizer, padding, max_length)
    write_bytes(folder / "model.safetensors", save(state, metadata={"format": "pt"}))
    write_bytes(folder / "tokenizer.json", tokenizer.read_bytes())
    for name, content in (("config.json", config), ("tokenizer_config.json", about)):
        write_text(folder / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / CARD, card)


def _config(model: Model, classes: Sequence[str]) -> tuple[dict[str, Any], int]:
    """The ``config.json``, and the number of the padding token."""
    if isinstance(model, CausalModel):
        raise ConfigError(f"{model.name} is a language model: give a classifier")
    names = {
        "id2label": {str(number): name for number, name in enumerate(classes)},
        "label2id": {name: number for number, name in enumerate(classes)},
        "problem_type": "single_label_classification", "dtype": "float32",
    }  # fmt: skip
    if isinstance(model, Architecture):
        return _bert_config(model) | names, 0
    config = model.config()
    entries = {n: v for n, v in config.to_dict().items() if not n.startswith("_")}
    entries["architectures"] = [model.kind().__name__]
    return entries | names, int(config.pad_token_id)


def _bert_config(model: Architecture) -> dict[str, Any]:
    return {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert",
        "num_hidden_layers": model.layers, "hidden_size": model.hidden,
        "num_attention_heads": model.heads, "intermediate_size": model.intermediate,
        "vocab_size": model.vocabulary, "max_position_embeddings": model.positions,
        "type_vocab_size": model.segments, "layer_norm_eps": model.layer_norm_eps,
        "hidden_act": "gelu", "pad_token_id": 0,
    }  # fmt: skip


def _tokenizer_config(path: Path, padding: int, max_length: int) -> dict[str, Any]:
    """How transformers is to take the tokenizer: as it is, and cut at the model's length."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    special = {
        name: next((word for word in words if tokenizer.token_to_id(word) is not None), None)
        for name, words in _SPECIAL.items()
    }
    special["pad_token"] = tokenizer.id_to_token(padding)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_length,
        "model_input_names": list(_INPUTS),
        **{name: word for name, word in special.items() if word is not None},
    }  # fmt: skip
