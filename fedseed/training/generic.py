"""Training through automatic differentiation: any module, any recipe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.recipe import Recipe
from fedseed.training.losses import labels_of
from fedseed.training.precision_and_device import Compute

WORD_EMBEDDINGS = ("word_embeddings.weight", "wte.weight", "embed_tokens.weight")


class GenericTrainer:
    """Takes training steps with one torch module."""

    def __init__(self, model: nn.Module, recipe: Recipe, compute: Compute, seed: int) -> None:
        """Prepare the module and its optimiser.

        Args:
            model: maps ``(input_ids, lengths)`` to logits; trained in place.
            recipe: how to train.
            compute: precision and device.
            seed: decides dropout.
        """
        self._model = model
        self.models = [model]
        self._recipe = recipe
        self._compute = compute
        self._logits = GenericPredictor(model, compute)
        self._optimiser = _optimiser(model, recipe)
        self._done = 0
        model.train()
        set_dropout(model, recipe.dropout)
        self._dropout = np.random.PCG64(seed)

    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step, unless the loss is not finite.

        Args:
            rows: one batch.
            table: the tokens.

        Returns:
            The loss before the step, nats.
        """
        recipe = self._recipe
        ids, lengths = table.padded(rows[0], recipe.max_length)
        labels = torch.from_numpy(labels_of(table, rows[0])).to(self._compute.device)
        with self._seeded_dropout():
            logits = self._logits(torch.from_numpy(ids), torch.from_numpy(lengths)).float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        value = float(loss.item())
        if np.isfinite(value):
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self._update()
        self._done += 1
        return [value]

    @contextmanager
    def _seeded_dropout(self) -> Iterator[None]:
        """For one step; torch's global generator, which drops, is left as it was."""
        drops = self._recipe.dropout > 0
        with torch.random.fork_rng(enabled=drops):
            if drops:
                torch.manual_seed(int(self._dropout.random_raw()) >> 1)
            yield

    def _update(self) -> None:
        """Move the weights along their gradients at this step's rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.rate(self._done) * group["multiplier"]
        self._optimiser.step()

    def finish(self) -> None:
        """Bring the module back to the CPU."""
        self._model.to("cpu")


class GenericPredictor:
    """Logits of any module, in the precision and on the device that were chosen."""

    tokens_at_once = 8192
    """Tokens of a chunk in prediction."""
    lanes = 1
    """See LeanPredictor."""

    def __init__(self, model: nn.Module, compute: Compute) -> None:
        """Use a module; it is moved to the device."""
        self._compute = compute
        model.to(compute.device).eval()
        self._call: Callable[[Tensor, Tensor], Tensor] = model
        if compute.compile:
            self._call = torch.compile(model, dynamic=True)

    def __call__(self, ids: Tensor, lengths: Tensor, lane: int = 0) -> Tensor:
        """Return the logits, shape ``(texts, classes)``; see BertClassifier."""
        del lane
        device = torch.device(self._compute.device)
        half = self._compute.precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return self._call(ids.to(device), lengths.to(device))


def set_dropout(model: nn.Module, probability: float) -> None:
    """Set every dropout probability of a lean model or of any torch module.

    Hugging Face's attentions keep theirs as plain numbers, some of them in the configuration.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        for holder in (module, getattr(module, "config", None)):
            for name, value in list(getattr(holder, "__dict__", {}).items()):
                if "dropout" in name and isinstance(value, float):
                    setattr(holder, name, probability)


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, in groups by embedding or not and by decay or not."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        is_embedding = name.endswith(WORD_EMBEDDINGS)
        groups.setdefault((is_embedding, parameter.ndim > 1), []).append(parameter)
    options = [
        {
            "params": parameters,
            "multiplier": recipe.embedding_multiplier if is_embedding else 1.0,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (is_embedding, decays), parameters in groups.items()
    ]
    rate = recipe.learning_rate
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(options, lr=rate, fused=True)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(options, lr=rate, fused=True)
    return torch.optim.SGD(options, lr=rate, momentum=0.9, fused=True)
