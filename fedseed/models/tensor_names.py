"""Names of tensors in weight files: old ones, wrapped ones, and those that no network has."""

from collections.abc import Collection, Iterable
from itertools import takewhile

from fedseed.errors import ConfigError, one_line

_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""Names in files that were converted from TensorFlow, such as bert-base-uncased's."""
_BUFFERS = ("bias", "masked_bias", "inv_freq", "position_ids")
"""Last parts of the names of tables that old files keep in their layers; weights go before."""


def named_as_today(name: str) -> str:
    """The present name of a BERT's tensor that may have its old one."""
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def unwrapped(names: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Names in files by what they are without what a training framework put before all of them.

    As many words before a dot are taken off as make the most names those of the network, or of
    its body.

    Args:
        names: in the files.
        wanted: the names in the network.
    """
    names = list(names)
    wanted = set(wanted)
    known = wanted | {name.partition(".")[2] for name in wanted}
    words = [name.split(".") for name in names]
    bare, shared = {0: names}, zip(min(words, default=[]), max(words, default=[]), strict=False)
    for count, _ in enumerate(takewhile(lambda pair: pair[0] == pair[1], shared), start=1):
        bare[count] = [".".join(parts[count:]) for parts in words]
    best = max(bare, key=lambda n: (sum(named_as_today(name) in known for name in bare[n]), -n))
    return dict(zip(bare[best], names, strict=True))


def refuse_surplus(model: str, unused: Iterable[str], wanted: Collection[str]) -> None:
    """Refuse files with weights in layers, or layers, that the network does not have.

    Args:
        model: the model, for the message.
        unused: names that are not used, without wrappers.
        wanted: the names in the network.

    Raises:
        ConfigError: there are such.
    """
    layers = {_layer(name) for name in wanted} - {""}
    stems = {layer.rpartition(".")[0] for layer in layers}
    for name in sorted(unused):
        layer = _layer(name)
        if layer in layers and name.rpartition(".")[2] not in _BUFFERS:
            raise ConfigError(
                f"the weights of {model} have {one_line(name)}, which its config.json does not "
                "tell of: merge adapters (merge_and_unload()) and save the model again"
            )
        if layer and layer not in layers and layer.rpartition(".")[0] in stems:
            raise ConfigError(
                f"the weights of {model} have {one_line(name)}, a layer beyond those of its "
                "config.json: give a folder whose config.json and weights belong together"
            )


def _layer(name: str) -> str:
    """A tensor's numbered layer, such as ``bert.encoder.layer.3``; empty outside of one."""
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdecimal()]
    return ".".join(parts[: numbers[0] + 1]) if numbers else ""
