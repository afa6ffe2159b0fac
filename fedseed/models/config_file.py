"""What a config.json says of the network: its sizes, and what would not be computed as it means."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from fedseed.errors import ConfigError, one_line
from fedseed.models.architecture import Architecture
from fedseed.models.published import architectures, read_config

LARGEST_SIZE = 4_000_000
"""Of anything in a config.json: a vocabulary of millions is the largest."""
_MOST_LAYERS = 1_000
_OF_LAYERS = re.compile("layers?$|heads?$")
_OF_A_SIZE = re.compile("layers?$|heads?$|size|dim|positions|embeddings|embd|inner|ctx|buckets")
_OTHER_TASK = re.compile(r"\w+For(TokenClassification|QuestionAnswering|MultipleChoice)")
"""Classes whose heads have a text classifier's names and answer another question."""
_OWN_POSITIONS = ("esm",)
"""Model types whose position_embedding_type the library follows."""
_READS_ITS_LAST = ("xlnet",)
"""Model types whose classifiers read the last position, so that texts must be padded before."""


def refuse_another_sense(name: str) -> None:
    """Refuse a classifier that would not be computed as its config.json means.

    Raises:
        ConfigError: see there.
    """
    config = read_config(name)
    positions = config.get("position_embedding_type") or "absolute"
    kind = config.get("model_type")
    if config.get("is_decoder"):
        raise ConfigError(
            f"{name} is a decoder (is_decoder in its config.json), whose first token, which a "
            "classifier reads, sees no other: give an encoder"
        )
    if positions != "absolute" and kind not in _OWN_POSITIONS:
        raise ConfigError(
            f"{name} has positions of the kind {one_line(str(positions), 40)} "
            "(position_embedding_type in its config.json), which are not computed here: give "
            "another model"
        )
    if kind in _READS_ITS_LAST:
        raise ConfigError(
            f"{name} is of the type {kind}, whose classifier reads a text's last position and "
            "wants padding before it, and here it comes after: give another model"
        )


def other_task(name: str) -> str:
    """The class that a model was saved from, if its head is one for another task; else empty."""
    made_for = architectures(name)
    return made_for if _OTHER_TASK.fullmatch(made_for) else ""


def code_note(name: str) -> str | None:
    """What is to be said of a model that brings code of its own; it is never run."""
    config = read_config(name)
    if not config.get("auto_map"):
        return None
    kind = one_line(str(config.get("model_type")), 40)
    return f"{name} names code of its own (auto_map), which is not run: it is taken as a {kind}"


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
