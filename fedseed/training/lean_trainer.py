"""Training steps and predictions through the lean BERT."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable, widths
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.adam import DenseAdam, RowAdam
from fedseed.training.batches import chunks, stacked
from fedseed.training.compute import Compute
from fedseed.training.lean import LeanBert
from fedseed.training.stack import WeightStack

_TOKENS_AT_ONCE = {"fp32": 2048, "bf16": 4096}
"""Tokens of a chunk on a CPU: few enough for its caches, enough for its matrix products. In bf16
these are short, so that the time of the calls themselves weighs more."""
_TOKENS_AT_ONCE_CUDA = 1 << 20


def is_lean(model: nn.Module, recipe: Recipe | None = None) -> TypeGuard[BertClassifier]:
    """Whether a model, trained with a recipe, has the lean form.

    Dropout, momentum and Adam's undecoupled weight decay have not; nor has a decay so strong
    that what it leaves of a weight cannot be written as a number.
    """
    if not isinstance(model, BertClassifier) or any(map(is_parametrized, model.modules())):
        return False
    if recipe is None:
        return True
    rate = recipe.learning_rate * max(1.0, recipe.embedding_multiplier)
    gentle = rate * recipe.weight_decay < 0.5 and rate * recipe.weight_decay * recipe.steps < 50
    return (
        recipe.dropout == 0
        and gentle
        and (
            recipe.optimiser == "adamw" or (recipe.optimiser == "adam" and not recipe.weight_decay)
        )
    )


class LeanTrainer:
    """Takes training steps with one model, or with several as one stack."""

    def __init__(
        self, models: Sequence[BertClassifier], recipes: Sequence[Recipe], compute: Compute
    ) -> None:
        """Move the models' weights into a stack; each has a recipe of its own."""
        self.models = models
        self._shape = shape = models[0].shape
        self._recipe = recipes[0]
        self._device = torch.device(compute.device)
        self._stack = WeightStack(self.models, shape, self._device, compute.dtype)
        self._stacked = len(models) > 1 or self._device.type != "cpu"
        few_shapes = compute.few_shapes and not self._stacked
        self._bert = LeanBert(self._stack, shape, few_shapes)
        rates = np.array(
            [[recipe.rate(step) for step in range(recipe.steps)] for recipe in recipes]
        )
        decay = np.array([recipe.weight_decay for recipe in recipes])
        multipliers = np.array([[recipe.embedding_multiplier] for recipe in recipes])
        self._dense = DenseAdam(self._stack.weights, self._stack.matrices, rates, decay)
        self._words = RowAdam(self._stack.words, len(models), rates * multipliers, decay)
        self._smoothing = np.array([recipe.label_smoothing for recipe in recipes])
        self._multiple = compute.width_multiple
        on_cpu = self._device.type == "cpu"
        self._budget = _TOKENS_AT_ONCE[compute.precision] if on_cpu else _TOKENS_AT_ONCE_CUDA

    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step; models whose loss is not finite are of no further use.

        Args:
            rows: every model's batch, longest texts first.
            table: the tokens.

        Returns:
            Every model's loss before the step, nats.
        """
        most, multiple = self._recipe.max_length, self._multiple
        ids, lengths = stacked(table, rows, most, multiple)
        ids += self._shape.vocabulary * np.arange(len(rows))[:, None, None]
        distinct, inverse = np.unique(ids, return_inverse=True)
        inverse = inverse.reshape(ids.shape)
        known = table.labels if table.soft is None else table.soft
        labels = np.stack([known[own] for own in rows])
        words = self._words.take(self._to_device(distinct))
        words_gradient = torch.zeros_like(words)
        self._stack.gradients.zero_()
        self._stack.refresh()
        losses = np.zeros(len(rows))
        padded = widths(lengths.max(axis=0), most, multiple)
        for chunk in chunks(padded, self._budget):
            sizes = lengths[:, chunk]
            places = self._to_device(inverse[:, chunk, : int(padded[chunk.start])])
            texts = words.index_select(0, places.reshape(-1)).view(*places.shape, -1)
            targets = self._targets(labels[:, chunk])
            if not self._stacked:
                texts, targets = texts[0], targets[0]
            logits = self._bert.forward(texts, self._to_device(sizes))
            likelihoods = functional.log_softmax(logits, dim=-1)
            losses += -(targets * likelihoods).sum((-2, -1)).double().cpu().numpy().reshape(-1)
            gradient = self._bert.backward((likelihoods.exp() - targets) / len(rows[0]))
            words_gradient.index_add_(0, places.reshape(-1), gradient.reshape(-1, words.shape[1]))
        losses /= len(rows[0])
        if np.isfinite(losses).any():
            self._words.step(words_gradient)
            self._dense.step(self._stack.gradients)
        return [float(loss) for loss in losses]

    def _to_device(self, numbers: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self._device)

    def _targets(self, labels: NDArray[Any]) -> Tensor:
        """Target probabilities with label smoothing, shape ``(models, texts, classes)``.

        Args:
            labels: class numbers, shape ``(models, texts)``, or soft labels with one more
                dimension for the classes.
        """
        classes = self._shape.labels
        smoothing = self._smoothing[:, None, None]
        known = np.eye(classes)[labels] if labels.ndim == 2 else labels
        targets = (1 - smoothing) * known + smoothing / classes
        return torch.from_numpy(targets.astype(np.float32)).to(self._device)

    def finish(self) -> None:
        """Copy the weights back into the modules."""
        self._words.finish()
        self._stack.write_back(self.models)


class LeanPredictor:
    """Logits of one model."""

    tokens_at_once = 1024
    """Tokens of a chunk."""

    def __init__(self, model: BertClassifier, compute: Compute) -> None:
        """Copy the model's weights, but for its word embedding."""
        self._device = torch.device(compute.device)
        self._stack = WeightStack([model], model.shape, self._device, compute.dtype)
        self._bert = LeanBert(self._stack, model.shape, compute.few_shapes)

    def __call__(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits, shape ``(texts, classes)``; see BertClassifier."""
        words = functional.embedding(ids.to(self._device), self._stack.words)
        if self._device.type != "cpu":
            words, lengths = words[None], lengths[None]
        logits = self._bert.forward(words, lengths.to(self._device))
        return logits.view(len(ids), -1)
