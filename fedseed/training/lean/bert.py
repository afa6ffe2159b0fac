"""The lean BERT: logits and gradients of one classifier, or of a stack of them.

The same function as ``transformers.BertForSequenceClassification`` without dropout (Devlin et
al. 2019), with less work: the last layer is computed for the [CLS] position only. That one
query makes its key and value projections superfluous as well, since
``q . (W x) = (W^T q) . x``: instead of every token, 32 queries are projected. tests/training
compares logits and gradients with the original.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from fedseed.models.architecture import Architecture
from fedseed.training.lean.layers import TORCH_LAYERS, LastLayer, Layer, LayerKinds
from fedseed.training.lean.layout import Layout, with_rows
from fedseed.training.lean.stack import WeightStack


class LeanBert:
    """Forward and backward of the classifiers whose weights are in a stack."""

    def __init__(
        self,
        stack: WeightStack,
        shape: Architecture,
        few_shapes: bool = False,
        kinds: LayerKinds = TORCH_LAYERS,
        trained: Collection[str] | None = None,
    ) -> None:
        """Make the layers.

        Args:
            stack: the weights.
            shape: the architecture.
            few_shapes: round numbers of rows up, so that matrices have few different shapes; for
                a single model only.
            kinds: of what the layers are; those of kernels for a single model on a CPU only.
            trained: names of the parameters whose gradients are wanted; all when None. The
                backward pass ends at the lowest layer that has one.
        """
        self._stack = stack
        self._few_shapes = few_shapes
        self._embeddings = kinds.embeddings(stack)
        names = [f"bert.encoder.layer.{number}" for number in range(shape.layers)]
        self._layers: list[Layer | LastLayer] = [
            *(kinds.layer(stack, name, shape.heads) for name in names[:-1]),
            kinds.last_layer(stack, names[-1], shape.heads),
        ]
        self._lowest = _lowest(names, trained)
        self._pooler = stack.linear("bert.pooler.dense", fp32=kinds.fp32_head)
        self._classifier = stack.linear("classifier", fp32=kinds.fp32_head)
        self._kept: tuple[Any, ...] = ()

    def forward(self, table: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits.

        Args:
            table: word embeddings, fp32, shape ``(words, hidden)``.
            places: rows of the table that the texts consist of, padded on the right, shape
                ``(..., texts, width)``.
            lengths: tokens of each text, shape ``(..., texts)``, on the CPU: to look at them must
                not wait for a GPU.

        Returns:
            Shape ``(..., texts, labels)``, fp32.
        """
        pooled = self.pooled(table, places, lengths)
        layout = self._kept[-1]
        logits: Tensor = self._classifier.forward(pooled)[..., : layout.texts, :].float()
        return logits

    def pooled(self, table: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """What the head sees of each text, shape ``(..., at least texts, hidden)``; see above."""
        layout = Layout.of(lengths, places.shape[-1], self._few_shapes, self._stack.computed)
        states = self._embeddings.forward(table, places, layout)
        for layer in self._layers:
            states = layer.forward(states, layout)
        pooled = torch.tanh(self._pooler.forward(states))
        self._kept = (states, pooled, layout)
        return pooled

    def backward(self, gradient: Tensor, total: Tensor) -> None:
        """Add to the stack's gradients and to the table's.

        Args:
            gradient: of the logits that :meth:`forward` returned last.
            total: gradient of the table that it was given, fp32.
        """
        states, pooled, layout = self._kept
        gradient = with_rows(gradient.to(pooled.dtype), layout.first_rows)
        self._classifier.backward(gradient, pooled)
        gradient = self._classifier.inputs_gradient(gradient)
        gradient = gradient * (1 - pooled * pooled)
        self._pooler.backward(gradient, states)
        gradient = self._pooler.inputs_gradient(gradient)
        for layer in reversed(self._layers[max(0, self._lowest) :]):
            gradient = layer.backward(gradient)
        if self._lowest == _EMBEDDINGS:
            self._embeddings.backward(gradient, total)


_EMBEDDINGS = -1
"""Below the first layer."""


def _lowest(layers: Sequence[str], trained: Collection[str] | None) -> int:
    """The number of the lowest layer that has a trained parameter, or :data:`_EMBEDDINGS`."""
    if trained is None or any(name.startswith("bert.embeddings") for name in trained):
        return _EMBEDDINGS
    have = [
        number for number, layer in enumerate(layers)
        if any(name.startswith(f"{layer}.") for name in trained)
    ]  # fmt: skip
    return min(have, default=len(layers))
