"""Models by name: what a seed names, and how it becomes a torch module."""

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fedseed.errors import ConfigError, first_line
from fedseed.models.architecture import CAUSAL, REGISTRY, Architecture, Shapes, State, architecture
from fedseed.models.bert import BertClassifier
from fedseed.models.causal import CausalModel
from fedseed.models.config_file import (
    LARGEST_SIZE,
    lean_architecture,
    refuse_another_sense,
    whole_number,
)
from fedseed.models.hugging_face import make_config
from fedseed.models.published import read_config


@dataclass(frozen=True)
class GenericModel:
    """Any Hugging Face sequence classifier: slower to import and to train than the lean one."""

    name: str
    labels: int

    def config(self) -> Any:
        """Hugging Face's configuration, with this number of classes.

        Raises:
            ConfigError: there is no such model, or it has no padding token.
        """
        config = make_config(self.name, self.labels)
        if not hasattr(config, "pad_token_id"):
            raise ConfigError(
                f"{self.name} is no model of texts, but of the type {config.model_type}"
            )
        padding, words = config.pad_token_id, getattr(config, "vocab_size", None)
        if padding is None:
            raise ConfigError(
                f"{self.name} has no padding token: set pad_token_id in its config.json, for "
                "example to its eos_token_id"
            )
        most = words if isinstance(words, int) else LARGEST_SIZE
        if not isinstance(padding, int) or not 0 <= padding < most:
            raise ConfigError(f"the config.json of {self.name}: pad_token_id is no token's id")
        return config

    def module(self) -> "_HuggingFaceClassifier":
        """The untrained module, on the meta device."""
        config = self.config()
        with torch.device("meta"):
            inner = self.make(config)
        return _HuggingFaceClassifier(inner, config.pad_token_id)

    def make(self, config: Any) -> nn.Module:
        """Hugging Face's own module, with random weights.

        Raises:
            ConfigError: there is no sequence classifier of this kind.
        """
        from transformers import AutoModelForSequenceClassification

        make: Any = AutoModelForSequenceClassification.from_config
        try:
            module: nn.Module = make(config)
        except Exception as error:  # the library raises nothing more exact
            raise ConfigError(
                f"{self.name} is no sequence classifier: {first_line(error)}"
            ) from error
        return module

    def kind(self) -> type[nn.Module]:
        """Hugging Face's class."""
        with torch.device("meta"):
            return type(self.make(self.config()))

    def shapes(self) -> Shapes:
        """Name and shape of every parameter."""
        return {name: tuple(part.shape) for name, part in self.module().named_parameters()}

    def fp32_bytes(self) -> int:
        """Bytes of the weights in fp32."""
        return 4 * sum(part.numel() for part in self.module().parameters())


Model = Architecture | GenericModel | CausalModel


class _HuggingFaceClassifier(nn.Module):
    """Gives a Hugging Face classifier the interface of the lean one, names unchanged."""

    def __init__(self, inner: nn.Module, padding: int) -> None:
        super().__init__()
        self._padding = padding
        self._inner = [inner]  # in a list, so that its names get no prefix
        for name, child in inner.named_children():
            self.add_module(name, child)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits, shape ``(batch, labels)``; see BertClassifier."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        mask = (places < lengths[:, None]).long()
        input_ids = input_ids.masked_fill(mask == 0, self._padding)
        logits: Tensor = self._inner[0](input_ids=input_ids, attention_mask=mask).logits
        return logits

    def tie(self) -> None:
        """Make parameters one again that the library shares, such as BART's two embeddings."""
        inner: Any = self._inner[0]
        inner.tie_weights()

    def train(self, mode: bool = True) -> "_HuggingFaceClassifier":
        """Set training or evaluation mode."""
        self._inner[0].train(mode)
        return super().train(mode)


@functools.cache
def find_model(name: str, labels: int) -> Model:
    """Find a model by its registered name, its folder or its id on the hub.

    Args:
        name: see there.
        labels: number of classes; 0 for a causal language model.

    Raises:
        ConfigError: there is no such model.
    """
    if labels == CAUSAL:
        return CausalModel(name)
    if name in REGISTRY:
        return architecture(name, labels)
    refuse_another_sense(name)
    return lean_architecture(name, labels) or GenericModel(name, labels)


def max_tokens(name: str) -> int:
    """Longest text the model takes, in tokens.

    Raises:
        ConfigError: there is no such model, or its config.json is not valid.
    """
    model = find_model(name, 2)
    if isinstance(model, Architecture):
        return model.positions
    config = read_config(name)
    entries = [entry for entry in ("max_position_embeddings", "n_positions") if entry in config]
    positions = whole_number(name, config, entries[0]) if entries else 512
    # RoBERTa and its relatives number positions from the padding token's id plus one.
    first = [_first_position(part) for part in model.module().modules()]
    return positions - max(first)


def _first_position(module: nn.Module) -> int:
    """The number of a text's first position, in a module that has position embeddings."""
    table = getattr(module, "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def vocabulary(name: str) -> int | None:
    """Number of words in a published model's embedding, where its config.json says so."""
    config = read_config(name)
    return whole_number(name, config, "vocab_size") if "vocab_size" in config else None


def build(model: Model, state: State) -> nn.Module:
    """Make a torch module from weights, without drawing a random number.

    Args:
        model: the architecture.
        state: every parameter by its Hugging Face name; copied.

    Returns:
        A module that maps ``(input_ids, lengths)`` to logits; a causal language model is Hugging
        Face's own module.
    """
    if isinstance(model, CausalModel):
        return model.build(state)
    if isinstance(model, GenericModel):
        module: nn.Module = model.module()
        _materialise_buffers(module, model)
    else:
        with torch.device("meta"):
            module = BertClassifier(model)
    weights = {name: torch.from_numpy(values.copy()) for name, values in state.items()}
    module.load_state_dict(weights, assign=True, strict=False)
    if isinstance(module, _HuggingFaceClassifier):
        module.tie()
    for parameter in module.parameters():
        if parameter.is_meta:
            raise ConfigError(f"the weights for {model.name} are incomplete")
        parameter.requires_grad_(True)
    return module


def _materialise_buffers(module: nn.Module, model: GenericModel) -> None:
    """Give a module on the meta device the buffers (position ids, ...) of a real one."""
    with torch.random.fork_rng(devices=[]):
        real = model.make(model.config())
    buffers = dict(real.named_buffers())
    for name, _ in list(module.named_buffers()):
        owner, _, leaf = name.rpartition(".")
        module.get_submodule(owner).register_buffer(leaf, buffers[name], persistent=False)


def to_state(module: nn.Module) -> State:
    """Return a module's parameters as numpy arrays, by Hugging Face's names."""
    return {
        name: part.detach().cpu().float().numpy().copy() for name, part in module.named_parameters()
    }
