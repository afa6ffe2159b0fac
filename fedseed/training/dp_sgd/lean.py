"""DP-SGD through the lean BERT, without making the examples' gradients.

A linear layer's gradient is a product of two matrices, of which every text owns some rows. One
backward pass keeps these rows and adds up every text's squared norm; then the rows are multiplied
by the texts' clip factors, and one product makes the sum of all clipped gradients (ghost clipping,
Li et al. 2021, arXiv 2110.05679; without a second backward pass, Bu et al. 2022, arXiv 2210.00038).
tests/training compares the sum with that of per-example gradients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.batches import chunks
from fedseed.training.dp_sgd.mechanism import Mechanism
from fedseed.training.lean.adam import DenseAdam, rates_of
from fedseed.training.lean.bert import LeanBert
from fedseed.training.lean.layers import Embeddings, LastLayer, LayerKinds, by_head
from fedseed.training.lean.operations import Linear, Norm
from fedseed.training.lean.stack import WeightStack
from fedseed.training.losses import labels_of, losses_and_gradient, smoothed_targets
from fedseed.training.precision_and_device import Compute, on_device

_TOKENS_AT_ONCE = 2048
_TOKENS_AT_ONCE_CUDA = 1 << 16


class _Record:
    """What a backward pass leaves: every text's squared norm, and sums still to be made."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[Tensor], object]] = []
        self.squares = torch.empty(0)

    def start(self, texts: int, device: torch.device) -> None:
        """Forget the last pass."""
        self._waiting.clear()
        self.squares = torch.zeros(texts, device=device)

    def product(self, gradient: Tensor, inputs: Tensor, total: Tensor) -> None:
        """A text's gradient is ``gradient.mT @ inputs`` over its rows, ``(texts * n, features)``.

        The product's norm is computed from the product itself: from the Gram matrices of its sides
        it costs less for short texts, but suffers where terms cancel, and a norm that is too small
        breaks the bound.
        """
        texts = len(self.squares)
        sides = (
            gradient.view(texts, -1, gradient.shape[-1]),
            inputs.reshape(texts, -1, inputs.shape[-1]),
        )
        if sides[0].shape[1] == 1:
            self.squares += _squares(sides[0]) * _squares(sides[1])
        else:
            self.squares += _squares(torch.bmm(sides[0].mT, sides[1]))
        rows = sides[0].shape[1]
        self.later(
            lambda factors: total.addmm_(
                (gradient * factors.repeat_interleave(rows)[:, None]).mT, inputs
            )
        )

    def plain(self, gradients: Tensor, total: Tensor) -> None:
        """The texts' gradients themselves, shape ``(texts, ...)``, for a total of any shape."""
        self.squares += _squares(gradients)
        rows = gradients.flatten(1)
        self.later(lambda factors: total.add_((factors @ rows).view(total.shape)))

    def later(self, add: Callable[[Tensor], object]) -> None:
        """Have something done with the clip factors."""
        self._waiting.append(add)

    def finish(self, factors: Tensor) -> None:
        """Add the clipped gradients to the totals."""
        for add in self._waiting:
            add(factors)
        self._waiting.clear()


def _squares(rows: Tensor) -> Tensor:
    """Squared L2 norm of each entry of the first dimension.

    In a tree of sums: torch's vector_norm loses 1e-4 of the norm of millions of numbers.
    """
    return rows.flatten(1).square().sum(1)


@dataclass(frozen=True)
class _DpLinear(Linear):
    record: _Record

    def backward(self, gradient: Tensor, inputs: Tensor) -> None:
        self.record.product(gradient, inputs, self.weight_gradient)
        texts = gradient.view(len(self.record.squares), -1, gradient.shape[-1])
        self.record.plain(texts.sum(1), self.bias_gradient)


@dataclass(frozen=True)
class _DpNorm(Norm):
    record: _Record

    def backward(self, gradient: Tensor, kept: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        inputs, mean, scale = kept
        texts = (len(self.record.squares), -1, gradient.shape[-1])
        plain = (inputs - mean) * scale
        self.record.plain((gradient * plain).view(texts).sum(1), self.weight_gradient)
        self.record.plain(gradient.view(texts).sum(1), self.bias_gradient)
        out: Tensor = torch.ops.aten.native_layer_norm_backward(
            gradient, inputs, [inputs.shape[-1]], mean, scale, self.weight[0], self.bias[0],
            [True, False, False],
        )[0]  # fmt: skip
        return out


class _DpStack(WeightStack):
    """One model's weights, whose layers keep a record instead of adding up gradients."""

    def __init__(self, model: BertClassifier, device: torch.device, record: _Record) -> None:
        # In fp32 always: a clipped gradient of rounded products is not within the clip.
        super().__init__([model], model.shape, device, torch.float32)
        self._lead = ()
        self.record = record

    def linear(self, *names: str, fp32: bool = False) -> Linear:
        return _DpLinear(**vars(super().linear(*names, fp32=fp32)), record=self.record)

    def norm(self, name: str) -> Norm:
        return _DpNorm(**vars(super().norm(name)), record=self.record)


class _DpLastLayer(LastLayer):
    """Has one row for each text, so that every weight's gradient is an outer product by head."""

    def __init__(self, stack: _DpStack, prefix: str, heads: int) -> None:
        super().__init__(stack, prefix, heads)
        self._record = stack.record

    def _add_bias(self, linear: Linear, gradient: Tensor) -> None:
        self._record.plain(gradient, linear.bias_gradient)

    def _add_by_head(self, linear: Linear, left: Tensor, right: Tensor) -> None:
        norms = left.square().sum(-1) * right.square().sum(-1)
        self._record.squares += norms.sum(0)
        total = by_head(linear.weight_gradient, self.heads)
        self._record.later(lambda factors: total.baddbmm_((left * factors[:, None]).mT, right))


class _DpEmbeddings(Embeddings):
    """Keeps a record, also of the table's rows."""

    def __init__(self, stack: _DpStack) -> None:
        super().__init__(stack)
        self._record = stack.record

    def backward(self, gradient: Tensor, total: Tensor) -> None:
        norm, places, layout = self.kept
        words = self.norm.backward(gradient, norm).view(*places.shape, -1)
        self._record.plain(words, self.positions[1][: layout.width])
        self._record.plain(words.sum(1), self.segments[1][:1])
        self._record_words(places.cpu().numpy(), words, total)

    def _record_words(self, ids: NDArray[np.int64], gradient: Tensor, total: Tensor) -> None:
        """Record the table's part: a word's uses in one text add up before squaring."""
        device, vocabulary = total.device, len(total)
        texts = np.arange(len(ids))[:, None]
        distinct, inverse = np.unique(ids + texts * vocabulary, return_inverse=True)
        owner = on_device(distinct // vocabulary, device)
        word = on_device(distinct % vocabulary, device)
        rows = gradient.new_zeros(len(distinct), gradient.shape[-1])
        rows.index_add_(0, on_device(inverse.reshape(-1), device), gradient.flatten(0, 1))
        self._record.squares.index_add_(0, owner, _squares(rows))
        self._record.later(lambda factors: total.index_add_(0, word, rows * factors[owner, None]))


_DP_LAYERS = LayerKinds(embeddings=_DpEmbeddings, last_layer=_DpLastLayer)
"""Layers whose backward pass keeps a record."""


class DpLeanTrainer:
    """Takes DP-SGD steps with one model."""

    def __init__(
        self, model: BertClassifier, recipe: Recipe, compute: Compute, mechanism: Mechanism
    ) -> None:
        """Move the model's weights into a stack; they are computed with in fp32 always."""
        self.models = [model]
        self._shape = shape = model.shape
        self._recipe = recipe
        self._mechanism = mechanism
        self._device = torch.device(compute.device)
        self._record = _Record()
        self._stack = _DpStack(model, self._device, self._record)
        self._bert = LeanBert(self._stack, shape, kinds=_DP_LAYERS)
        words = self._stack.words.view(1, -1)
        rates = rates_of([recipe])
        decay = np.array([recipe.weight_decay])
        self._dense = DenseAdam(self._stack.weights, self._stack.matrices, rates, decay)
        # Every row of the word embedding gets noise, so that none is left out of a step.
        self._words = DenseAdam(words, words.shape[1], rates * recipe.embedding_multiplier, decay)
        self._words_gradient = torch.zeros_like(self._stack.words)
        self._budget = _TOKENS_AT_ONCE if self._device.type == "cpu" else _TOKENS_AT_ONCE_CUDA

    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step.

        Args:
            rows: one sample, longest texts first; may be empty.
            table: the tokens.

        Returns:
            The sample's mean loss before the step, nats, which is not private; 0 without a text.
        """
        sample = rows[0]
        generator = self._mechanism.generator(self._device)
        for total in (self._stack.gradients, self._words_gradient):
            self._mechanism.fill(total, generator)
        loss = 0.0
        lengths = table.lengths(sample, self._recipe.max_length)
        for chunk in chunks(lengths, self._budget):
            loss += self._add(sample[chunk], table)
        for total in (self._stack.gradients, self._words_gradient):
            total /= self._mechanism.expected
        self._words.step(self._words_gradient.view(1, -1))
        self._dense.step(self._stack.gradients)
        return [loss / max(1, len(sample))]

    def _add(self, rows: Rows, table: TokenTable) -> float:
        """Add some texts' clipped gradients to the totals; return the sum of their losses."""
        ids, sizes = table.padded(rows, self._recipe.max_length)
        self._record.start(len(rows), self._device)
        places = on_device(ids, self._device)
        logits = self._bert.forward(self._stack.words, places, torch.from_numpy(sizes))
        targets = smoothed_targets(
            labels_of(table, rows), self._shape.labels, self._recipe.label_smoothing
        )
        parts, gradient = losses_and_gradient(logits, on_device(targets, self._device))
        self._bert.backward(gradient, self._words_gradient)
        sound = self._record.squares.isfinite().cpu().numpy()
        if sound.all():
            self._record.finish(self._mechanism.factors(self._record.squares))
        elif sound.any():
            # Zero times infinity is NaN: what a broken text leaves cannot be multiplied away.
            self._add(rows[sound], table)
        return float(parts.sum(-1).double().sum())

    def finish(self) -> None:
        """Copy the weights back into the module."""
        self._stack.write_back(self.models)
