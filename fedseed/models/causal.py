"""Causal language models: GPT-2's architecture (Radford et al. 2019) and its relatives.

They are for measuring what a seed knows (perplexity), not for federated fine-tuning.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fedseed.errors import ConfigError, first_line
from fedseed.models.architecture import Shapes, State
from fedseed.models.hugging_face import make_config
from fedseed.models.published import architectures

SMALL_GPT2 = "gpt2-tiny"
"""The registered one: small enough to be trained on the bundled reviews in minutes."""
_SIZES: dict[str, Any] = {
    "vocab_size": 2048, "n_positions": 128, "n_embd": 128, "n_layer": 4, "n_head": 4,
    "bos_token_id": 0, "eos_token_id": 0,
    "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class CausalModel:
    """A causal language model by its registered name, folder or id on the hub."""

    name: str

    def config(self) -> Any:
        """Hugging Face's configuration.

        Raises:
            ConfigError: there is no such model.
        """
        if self.name != SMALL_GPT2:
            return make_config(self.name)
        from transformers import GPT2Config

        return GPT2Config(**_SIZES)

    def module(self) -> nn.Module:
        """The module as Hugging Face makes it; ``module(input_ids=...).logits``."""
        from transformers import AutoModelForCausalLM

        make: Any = AutoModelForCausalLM.from_config
        config = self.config()
        with torch.random.fork_rng(devices=[]):
            try:
                module: nn.Module = make(config)
            except Exception as error:  # the library raises nothing more exact
                raise ConfigError(
                    f"{self.name} is no causal language model: {first_line(error)}"
                ) from error
        return module.eval()

    def kind(self) -> type[nn.Module]:
        """Hugging Face's class."""
        with torch.device("meta"):
            return type(self.module())

    def shapes(self) -> Shapes:
        """Name and shape of every parameter; tied ones stand once."""
        with torch.device("meta"):
            module = self.module()
        return {name: tuple(part.shape) for name, part in module.named_parameters()}

    def fp32_bytes(self) -> int:
        """Bytes of the weights in fp32."""
        sizes = (torch.Size(shape).numel() for shape in self.shapes().values())
        return 4 * sum(sizes)

    def build(self, state: State) -> nn.Module:
        """A module with these weights.

        Raises:
            ConfigError: a weight is missing.
        """
        module = self.module()
        with torch.no_grad():
            for name, part in module.named_parameters():
                if name not in state:
                    raise ConfigError(f"the weights for {self.name} lack {name}")
                part.copy_(torch.from_numpy(state[name]))
        return module


def is_causal(name: str) -> bool:
    """Whether a model's own configuration calls it a causal language model."""
    if name == SMALL_GPT2:
        return True
    return architectures(name).endswith(("LMHeadModel", "ForCausalLM"))
