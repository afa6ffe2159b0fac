"""Folders of a small BERT classifier, as models are published."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fedseed.models.architecture import Architecture
from fedseed.models.published import tokenizer_file

SHAPE = Architecture("small", 2, 16, 2, 32, 3, 60, 32)
Tensors = dict[str, NDArray[Any]]


def tensors(head: bool = True) -> Tensors:
    """Weights by Hugging Face's names; every tensor is of other numbers."""
    rng = np.random.Generator(np.random.PCG64(5))
    shapes = SHAPE.shapes().items()
    drawn = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes}
    return {name: part for name, part in drawn.items() if head or "classifier" not in name}


def config(**entries: Any) -> dict[str, Any]:
    """The config.json of these weights."""
    return {
        "model_type": "bert", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
        "intermediate_size": 32, "vocab_size": 60, "max_position_embeddings": 32,
        "type_vocab_size": 2, "pad_token_id": 0, **entries,
    }  # fmt: skip


def make_folder(
    path: Path, files: Mapping[str, Mapping[str, Any]] | None = None, **entries: Any
) -> str:
    """Write a model's folder; returns its name.

    Args:
        path: the folder.
        files: tensors by file; one whole ``model.safetensors`` when None.
        entries: further ones of the config.json.
    """
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config(**entries)))
    (path / "tokenizer.json").write_bytes(tokenizer_file("bert-tiny").read_bytes())
    for file, parts in ({"model.safetensors": tensors()} if files is None else files).items():
        save_file(dict(parts), path / file)
    return str(path)
