"""Fine-tuning and prediction: the one path that every protocol and study uses."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.recipe import Recipe

_EVALUATION_BATCH = 64
_WORD_EMBEDDINGS = ("word_embeddings.weight", "wte.weight", "embed_tokens.weight")


@dataclass(frozen=True)
class FitResult:
    """What a fine-tuning run reports about itself."""

    steps: int
    """Optimiser steps taken; fewer than the recipe's when the loss left the finite numbers."""
    train_loss: float
    """Mean loss over the last tenth of the steps, nats; nan without a step."""
    diverged: bool
    """Whether the loss left the finite numbers."""


def fit(
    model: nn.Module,
    table: TokenTable,
    rows: Rows,
    recipe: Recipe,
    rng: np.random.Generator,
    progress: Callable[[int, float], None] | None = None,
) -> FitResult:
    """Fine-tune a model in place; the same inputs give the same bits at one thread.

    Args:
        model: maps ``(input_ids, lengths)`` to logits of shape ``(batch, classes)``.
        table: the tokens.
        rows: training rows of the table; every epoch visits each once, in a new order.
        recipe: how to train.
        rng: decides the order of the examples and the dropout.
        progress: called with the steps done and the loss of the last one.

    Returns:
        Steps, loss and whether training diverged.
    """
    optimiser = _optimiser(model, recipe)
    batches = _batches(rows, recipe.batch_size, rng)
    losses: list[float] = []
    model.train()
    set_dropout(model, recipe.dropout)
    with _seeded_torch(rng):
        for step in range(recipe.steps):
            chosen = next(batches)
            loss = _loss(model, table, chosen, recipe)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                break
            rate = recipe.rate(step)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["multiplier"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            if progress:
                progress(step + 1, losses[-1])
    tail = losses[-max(1, len(losses) // 10) :]
    diverged = bool(losses) and not math.isfinite(losses[-1])
    return FitResult(len(losses), float(np.mean(tail)) if tail else math.nan, diverged)


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


def _loss(model: nn.Module, table: TokenTable, rows: Rows, recipe: Recipe) -> Tensor:
    ids, lengths = table.padded(rows, recipe.max_length)
    logits = model(torch.from_numpy(ids), torch.from_numpy(lengths))
    labels = torch.from_numpy(table.labels[rows])
    return functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)


def _batches(rows: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Endless batches; an epoch's last, smaller batch is filled from the next epoch."""
    waiting = np.empty(0, dtype=np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(rows)])
        yield waiting[:size]
        waiting = waiting[size:]


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, in groups by embedding or not and by decay or not."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        is_embedding = name.endswith(_WORD_EMBEDDINGS)
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


@contextlib.contextmanager
def _seeded_torch(rng: np.random.Generator) -> Iterator[None]:
    """Give torch's own generator (dropout) a seed, and put its state back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        yield


def predict(
    model: nn.Module, table: TokenTable, rows: Rows, max_length: int
) -> NDArray[np.float32]:
    """Return the log-probabilities of some texts, shape ``(len(rows), classes)``.

    Texts are taken in order of their length, so that little padding is computed; the result
    is in the order of ``rows``.
    """
    model.eval()
    lengths = table.lengths(rows, max_length)
    order = np.argsort(lengths, kind="stable")
    parts: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(rows), _EVALUATION_BATCH):
            chosen = rows[order[start : start + _EVALUATION_BATCH]]
            ids, sizes = table.padded(chosen, max_length)
            logits = model(torch.from_numpy(ids), torch.from_numpy(sizes))
            parts.append(functional.log_softmax(logits.float(), dim=-1))
    ordered = torch.cat(parts).numpy()
    out = np.empty_like(ordered)
    out[order] = ordered
    return out
