"""Training steps and predictions through the lean BERT."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable, widths
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.batches import chunks, stacked
from fedseed.training.kernels import are_available
from fedseed.training.kernels.adam import FusedDenseAdam, FusedRowAdam
from fedseed.training.kernels.layers_in_blocks import kernel_layers
from fedseed.training.lanes import side_by_side, sum_in_order
from fedseed.training.lean.adam import Decay, DenseAdam, Rates, RowAdam, rates_of
from fedseed.training.lean.bert import LeanBert
from fedseed.training.lean.layers import TORCH_LAYERS
from fedseed.training.lean.operations import Reduced
from fedseed.training.lean.stack import WeightStack
from fedseed.training.losses import Labels, labels_of, losses_and_gradient, smoothed_targets
from fedseed.training.precision_and_device import Compute, on_device

_TOKENS_AT_ONCE, _TOKENS_AT_ONCE_CUDA = 4096, 1 << 20
"""Tokens of a chunk: on a CPU enough that the time of the calls themselves does not weigh."""
_TOKENS_TO_PREDICT = {"fp32": 2048, "bf16": 4096}
"""On a CPU; without a backward pass fewer fit its caches, in bf16 the calls weigh more."""


def is_lean(model: nn.Module, recipe: Recipe | None = None) -> TypeGuard[BertClassifier]:
    """Whether a model, trained with a recipe, has the lean form.

    Dropout, momentum and Adam's undecoupled weight decay have not; nor has a decay so strong
    that what it leaves of a weight cannot be written as a number.
    """
    if not isinstance(model, BertClassifier) or any(map(is_parametrized, model.modules())):
        return False
    return recipe is None or suits(recipe)


def suits(recipe: Recipe) -> bool:
    """Whether the lean trainer can follow a recipe, see :func:`is_lean`."""
    rate = recipe.learning_rate * max(1.0, recipe.embedding_multiplier)
    gentle = rate * recipe.weight_decay < 0.5 and rate * recipe.weight_decay * recipe.steps < 50
    return (
        recipe.dropout == 0
        and gentle
        and (
            recipe.optimiser == "adamw" or (recipe.optimiser == "adam" and not recipe.weight_decay)
        )
    )


@dataclass(frozen=True)
class Batch:
    """What one step of every model needs, before it goes to a device."""

    ids: NDArray[np.int64]
    """Rows of the stack's word embeddings, shape ``(models, texts, tokens)``."""
    lengths: NDArray[np.int64]
    """Tokens of each text, shape ``(models, texts)``."""
    labels: Labels
    """Class numbers of the same shape, or class probabilities with a dimension more."""


class LeanTrainer:
    """Takes training steps with one model, or with several as one stack."""

    def __init__(
        self,
        models: Sequence[BertClassifier],
        recipes: Sequence[Recipe],
        compute: Compute,
        trained: Collection[str] | None = None,
        reduced: Mapping[str, Sequence[Reduced]] | None = None,
    ) -> None:
        """Move the models' weights into a stack; each has a recipe of its own.

        Args:
            models: of one architecture.
            recipes: one for each.
            compute: precision and device.
            trained: names of the parameters whose gradients are wanted; all when None.
            reduced: what is wanted of some of these in place of the whole; of single models in
                bf16 that have kernels, below the last layer.
        """
        self.models = models
        self._shape = shape = models[0].shape
        self._recipe = recipes[0]
        self._device = torch.device(compute.device)
        whole = set() if trained is None else set(trained) - set(reduced or {})
        frozen = () if trained is None else shape.shapes().keys() - whole
        self._stack = WeightStack(self.models, shape, self._device, compute.dtype, frozen, reduced)
        self.in_background = self._device.type != "cpu"
        """Whether the device works on while :meth:`start` has returned."""
        self._stacked = len(models) > 1 or self.in_background
        few_shapes = compute.few_shapes and not self._stacked
        self._fused = are_available() and not self._stacked
        kinds = kernel_layers(compute.dtype, shape) if self._fused else TORCH_LAYERS
        lanes = 1 if self._stacked else compute.lanes
        self._lanes = [
            LeanBert(stack, shape, few_shapes, kinds, trained) for stack in self._stack.lanes(lanes)
        ]
        decay = np.array([recipe.weight_decay for recipe in recipes])
        self._words, self._dense = self._optimisers(recipes, rates_of(recipes), decay)
        self._smoothing = np.array([recipe.label_smoothing for recipe in recipes])
        self._multiple = compute.width_multiple
        self._budget = _TOKENS_AT_ONCE_CUDA if self.in_background else _TOKENS_AT_ONCE // lanes

    def _optimisers(
        self, recipes: Sequence[Recipe], rates: Rates, decay: Decay
    ) -> tuple[RowAdam, DenseAdam]:
        """What moves the words, and all other weights."""
        stack, count = self._stack, len(recipes)
        of_words = rates * np.array([[recipe.embedding_multiplier] for recipe in recipes])
        if self._fused:
            words = FusedRowAdam(stack.words, count, of_words, decay)
            return words, FusedDenseAdam(stack, rates, decay)
        dense = DenseAdam(stack.weights, stack.matrices, rates, decay)
        return RowAdam(stack.words, count, of_words, decay), dense

    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step; models whose loss is not finite are of no further use.

        Args:
            rows: every model's batch, longest texts first.
            table: the tokens.

        Returns:
            Every model's loss before the step, nats.
        """
        return self.losses(self.start(self.prepare(rows, table)))

    def prepare(self, rows: Sequence[Rows], table: TokenTable) -> Batch:
        """Collect what a step needs; see :meth:`step`."""
        ids, lengths = stacked(table, rows, self._recipe.max_length, self._multiple)
        ids += self._shape.vocabulary * np.arange(len(rows))[:, None, None]
        return Batch(ids, lengths, np.stack([labels_of(table, batch) for batch in rows]))

    def losses(self, summed: Tensor) -> list[float]:
        """Wait for what :meth:`start` returned; see :meth:`step`."""
        return [float(loss) for loss in summed.cpu()]

    @torch.inference_mode()
    def start(self, batch: Batch) -> Tensor:
        """Take a step; a GPU may still be at it when this returns the losses."""
        distinct, inverse = self._distinct(batch.ids)
        words = self._words.take(distinct)
        if not self._fused:  # otherwise the last step has done both
            self._stack.gradients.zero_()
            self._stack.refresh()
        padded = widths(batch.lengths.max(axis=0), self._recipe.max_length, self._multiple)
        cuts = list(chunks(padded, self._budget))

        def work(lane: int) -> tuple[Tensor, Tensor]:
            of_words = torch.zeros_like(words)
            losses = torch.zeros(len(batch.ids), dtype=torch.float64, device=self._device)
            for chunk in cuts[lane :: len(self._lanes)]:
                places = inverse[:, chunk, : int(padded[chunk.start])]
                losses += self._work(self._lanes[lane], batch, chunk, places, words, of_words)
            return losses, of_words

        done = side_by_side(work, len(self._lanes))
        losses, words_gradient = map(sum_in_order, zip(*done, strict=True))
        self._stack.collect()
        # A look at the losses would make a GPU wait.
        if self.in_background or bool(losses.isfinite().any()):
            self._words.step(words_gradient)
            self._dense.step(self._stack.gradients)
        else:
            self._stack.forget()
        losses /= batch.ids.shape[1]
        return losses

    @torch.inference_mode()
    def _work(
        self, bert: LeanBert, batch: Batch, chunk: slice, places: Tensor, words: Tensor,
        words_gradient: Tensor,
    ) -> Tensor:  # fmt: skip
        """Add a chunk's gradients; return its losses, summed up for each model."""
        sizes, targets = batch.lengths[:, chunk], self._targets(batch.labels[:, chunk])
        if not self._stacked:
            places, sizes, targets = places[0], sizes[0], targets[0]
        logits = bert.forward(words, places, torch.from_numpy(sizes))
        losses, gradient = losses_and_gradient(logits, targets)
        bert.backward(gradient / batch.ids.shape[1], words_gradient)
        summed: Tensor = losses.sum((-2, -1)).reshape(-1)
        return summed

    def _distinct(self, ids: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The distinct numbers in order, and each number's place among them."""
        if self.in_background:  # many models have many ids
            words, places = torch.unique(on_device(ids, self._device), return_inverse=True)
            return words, places
        distinct, inverse = np.unique(ids, return_inverse=True)
        return torch.from_numpy(distinct), torch.from_numpy(inverse.reshape(ids.shape))

    def _targets(self, labels: Labels) -> Tensor:
        """Smoothed targets, shape ``(models, texts, classes)``; see :class:`Batch` for labels."""
        targets = smoothed_targets(labels, self._shape.labels, self._smoothing[:, None, None])
        return on_device(targets, self._device)

    def finish(self) -> None:
        """Copy the weights back into the modules."""
        self._stack.write_back(self.models, self._words.finish())


class LeanPredictor:
    """Logits of one model."""

    def __init__(self, model: BertClassifier, compute: Compute) -> None:
        """Copy the model's weights, but for its word embedding."""
        self._device = torch.device(compute.device)
        on_cpu = self._device.type == "cpu"
        few = _TOKENS_TO_PREDICT[compute.precision]
        self.tokens_at_once = few if on_cpu else _TOKENS_AT_ONCE_CUDA
        """Tokens of a chunk."""
        self._stack = WeightStack([model], model.shape, self._device, compute.dtype)
        fused = are_available() and on_cpu
        kinds = kernel_layers(compute.dtype, model.shape) if fused else TORCH_LAYERS
        self._lanes = [
            LeanBert(self._stack, model.shape, compute.few_shapes, kinds)
            for _ in range(compute.lanes if on_cpu else 1)
        ]

    @property
    def lanes(self) -> int:
        """How many calls may run side by side, each with another lane."""
        return len(self._lanes)

    def pooled(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """What the head sees of each text, fp32, shape ``(texts, hidden)``; on a CPU."""
        return self._lanes[0].pooled(self._stack.words, ids, lengths)[: len(ids)].float()

    def __call__(self, ids: Tensor, lengths: Tensor, lane: int = 0) -> Tensor:
        """Return the logits, shape ``(texts, classes)``; see BertClassifier."""
        places = ids.to(self._device)
        if self._device.type != "cpu":
            places, lengths = places[None], lengths[None]
        logits = self._lanes[lane].forward(self._stack.words, places, lengths)
        return logits.view(len(ids), -1)
