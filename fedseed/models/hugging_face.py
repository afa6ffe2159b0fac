"""The transformers library, asked for a published model's configuration, module and weights.

It is never given a path: no code of a model's folder is run, and no pickle is read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from fedseed.errors import ConfigError, first_line
from fedseed.models.config_file import refuse_absurd_sizes
from fedseed.models.published import read_config

_NOT_ITS_SHAPE = frozenset(
    {
        "auto_map", "id2label", "label2id", "num_labels", "dtype", "torch_dtype", "return_dict",
        "use_return_dict", "torchscript", "attn_implementation", "_attn_implementation",
        "fusion_config",
    }
)  # fmt: skip
"""Entries of a config.json that do not say what is computed, and are this program's to decide."""

_ROUNDING = 1e-3
"""Of a model's numbers, at most: a larger difference is none of rounding."""
_FEW = 64


def make_config(name: str, labels: int | None = None) -> Any:
    """Hugging Face's configuration of a model.

    Args:
        name: a folder, or an id on the hub.
        labels: number of classes of a classifier.

    Raises:
        ConfigError: there is no such model, or its config.json is not valid.
    """
    from transformers import AutoConfig

    entries = dict(read_config(name))
    if "model_type" not in entries:
        raise ConfigError(
            f'the config.json of {name} lacks model_type: add it, for example "model_type": "bert"'
        )
    refuse_absurd_sizes(name, entries)
    for_model: Any = AutoConfig.for_model
    try:
        known: Any = type(for_model(entries.get("model_type")))
        config = known.from_dict({k: v for k, v in entries.items() if k not in _NOT_ITS_SHAPE})
        if labels is not None:
            config.num_labels = labels
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(f"{name} is no model known here: {first_line(error)}") from error
    return config


def load(
    name: str, kind: type[nn.Module], config: Any, tensors: Mapping[str, Tensor]
) -> tuple[Any, Mapping[str, Any]]:
    """A module with weights under their current or old names, and the library's report on them.

    Args:
        name: the model, for the message.
        kind: the library's class.
        config: its configuration.
        tensors: float32, by the names that they have in the files.

    Raises:
        ConfigError: the library cannot make it.
    """
    import torch

    make: Any = kind
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            module, report = make.from_pretrained(
                None, config=config, state_dict=dict(tensors), dtype=torch.float32,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(
            f"the weights of {name} do not fit its config.json: {first_line(error)}"
        ) from error
    return module, report


def try_out(name: str, module: Any, classes: int) -> bool:
    """Have a classifier read a text of three tokens, alone and with padding behind it.

    Returns:
        Whether its answer depends on the padding.

    Raises:
        ConfigError: it cannot, or gives no number for each class: its config.json is wrong.
    """
    import torch

    text, padding = _three_tokens(module.config)
    ids = torch.tensor([text + [padding] * 3])
    mask = torch.tensor([[1, 1, 1, 0, 0, 0]])
    try:
        with torch.no_grad(), quiet():
            padded = module(input_ids=ids, attention_mask=mask).logits
            alone = module(input_ids=ids[:, :3], attention_mask=mask[:, :3]).logits
        sensible = padded.shape == alone.shape == (1, classes)
        sensible &= bool(torch.isfinite(padded).all() and torch.isfinite(alone).all())
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(
            f"{name} cannot compute what its config.json says: {first_line(error)}"
        ) from error
    if not sensible:
        raise ConfigError(f"{name} does not give {classes} numbers a text: check its config.json")
    return float((padded - alone).abs().max()) > _ROUNDING * float(alone.abs().max())


def _three_tokens(config: Any) -> tuple[list[int], int]:
    """A text that ends as the model wants it, and its padding token."""
    padding, end, words = (
        getattr(config, n, None) for n in ("pad_token_id", "eos_token_id", "vocab_size")
    )
    words, padding = words or _FEW, padding or 0
    usual = [word for word in range(min(words, _FEW)) if word not in (padding, end)]
    last = end if isinstance(end, int) and 0 <= end < words else usual[-1]
    return [*usual[-2:], last], padding


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's progress bars and warnings; what matters is said in one line."""
    from transformers.utils import logging as library

    logging: Any = library
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
