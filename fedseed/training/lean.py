"""The lean BERT: logits and gradients of one classifier, or of a stack of them.

The same function as ``transformers.BertForSequenceClassification`` without dropout (Devlin et
al. 2019), with less work: the last layer is computed for the [CLS] position only. That one
query makes its key and value projections superfluous as well, since
``q . (W x) = (W^T q) . x``: instead of every token, 32 queries are projected. tests/training
compares logits and gradients with the original.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fedseed.models.architecture import Architecture
from fedseed.training.layers import (
    Layout,
    Linear,
    accumulate,
    attention,
    attention_backward,
    with_rows,
)
from fedseed.training.stack import WeightStack


class _FeedForward:
    """What follows the attention in a layer: its projection, and the feed-forward network."""

    def __init__(self, stack: WeightStack, prefix: str) -> None:
        self.project = stack.linear(f"{prefix}.attention.output.dense")
        self.attention_norm = stack.norm(f"{prefix}.attention.output.LayerNorm")
        self.widen = stack.linear(f"{prefix}.intermediate.dense")
        self.narrow = stack.linear(f"{prefix}.output.dense")
        self.output_norm = stack.norm(f"{prefix}.output.LayerNorm")
        self.kept: tuple[Any, ...] = ()

    def forward(self, mixed: Tensor, residual: Tensor) -> Tensor:
        attended = self.project.forward(mixed)
        attended += residual
        middle, first = self.attention_norm.forward(attended)
        wide = self.widen.forward(middle)
        active = functional.gelu(wide)
        outputs = self.narrow.forward(active)
        outputs += middle
        outputs, second = self.output_norm.forward(outputs)
        self.kept = (mixed, first, middle, wide, active, second)
        return outputs

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of the mixed values and of the residual connection."""
        mixed, first, middle, wide, active, second = self.kept
        gradient = self.output_norm.backward(gradient, second)
        self.narrow.backward(gradient, active)
        inner = self.narrow.inputs_gradient(gradient)
        inner = torch.ops.aten.gelu_backward(inner, wide)
        self.widen.backward(inner, middle)
        gradient = self.widen.inputs_gradient(inner, gradient)
        gradient = self.attention_norm.backward(gradient, first)
        self.project.backward(gradient, mixed)
        return self.project.inputs_gradient(gradient), gradient


class _Layer:
    """A layer for all tokens."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        self.projections = stack.linear(*parts)
        self.rest = _FeedForward(stack, prefix)
        self.heads = heads
        self.kept: tuple[Any, ...] = ()

    def forward(self, states: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
        projected = self.projections.forward(states)
        mixed, attended = attention(projected, self.heads, layout, mask)
        self.kept = (states, attended, layout)
        return self.rest.forward(mixed, states)

    def backward(self, gradient: Tensor) -> Tensor:
        states, attended, layout = self.kept
        gradient, residual = self.rest.backward(gradient)
        inner = attention_backward(gradient, attended, self.heads, layout)
        self.projections.backward(inner, states)
        return self.projections.inputs_gradient(inner, residual)


class _LastLayer:
    """The last layer, for the first token of every text."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        self.query, self.key, self.value = (
            stack.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value")
        )
        self.rest = _FeedForward(stack, prefix)
        self.heads = heads
        self.kept: tuple[Any, ...] = ()

    def _split(self, states: Tensor) -> Tensor:
        """From ``(..., texts, hidden)`` to ``(..., heads, texts, size)``."""
        return states.view(*states.shape[:-1], self.heads, -1).transpose(-3, -2)

    def _by_head(self, linear: Linear) -> Tensor:
        return _by_head(linear.weight, self.heads)

    def _rows(self, states: Tensor, layout: Layout) -> Tensor:
        """From ``(..., heads, first rows, hidden)`` to ``(all texts, heads, hidden)``."""
        states = states[..., : layout.texts, :]
        return states.transpose(-3, -2).reshape(-1, self.heads, states.shape[-1])

    def _heads_first(self, rows: Tensor, lead: torch.Size, layout: Layout) -> Tensor:
        """The way back, with zeros in the rows that belong to no text."""
        by_text = rows.view(*lead, layout.texts, self.heads, rows.shape[-1])
        return with_rows(by_text.transpose(-3, -2), layout.first_rows)

    def forward(self, states: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
        lead, hidden = states.shape[:-2], states.shape[-1]
        by_text = layout.live(states).view(*lead, layout.texts, layout.width, hidden)
        texts = by_text.view(-1, layout.width, hidden)
        first = with_rows(by_text[..., 0, :], layout.first_rows)
        query = self._split(self.query.forward(first))
        scale = query.shape[-1] ** -0.5
        asking = self._rows(query @ self._by_head(self.key), layout)
        scores = torch.bmm(asking, texts.mT) * scale
        if mask is not None:
            scores[-len(mask) :] += mask
        weights = scores.softmax(-1)
        mixed = self._heads_first(torch.bmm(weights, texts), lead, layout)
        values = (mixed @ self._by_head(self.value).mT).transpose(-3, -2).flatten(-2)
        values += self.value.bias
        self.kept = (states, texts, first, query, asking, weights, mixed, scale, layout)
        return self.rest.forward(values, first)

    def backward(self, gradient: Tensor) -> Tensor:
        states, texts, first, query, asking, weights, mixed, scale, layout = self.kept
        lead, hidden = states.shape[:-2], states.shape[-1]
        gradient, residual = self.rest.backward(gradient)
        self._add_bias(self.value, gradient)
        values = self._split(gradient)
        self._add_by_head(self.value, values, mixed)
        inner = self._rows(values @ self._by_head(self.value), layout)
        scores = torch.bmm(inner, texts.mT)
        scores -= (scores * weights).sum(-1, keepdim=True)
        scores *= weights * scale
        result: Tensor = layout.new_rows(states, hidden)
        out = layout.live(result).view(texts.shape)
        torch.bmm(weights.mT, inner, out=out)
        out.baddbmm_(scores.mT, asking)
        asked = self._heads_first(torch.bmm(scores, texts), lead, layout)
        self._add_by_head(self.key, query, asked)
        # The key's bias moves all scores of a query alike: its gradient is zero.
        inner = (asked @ self._by_head(self.key).mT).transpose(-3, -2).flatten(-2)
        self.query.backward(inner, first)
        own = self.query.inputs_gradient(inner, residual)[..., : layout.texts, :]
        out.view(*lead, layout.texts, layout.width, hidden)[..., 0, :] += own
        return result

    def _add_bias(self, linear: Linear, gradient: Tensor) -> None:
        """Add to a bias's gradient that of the projection."""
        linear.bias_gradient.add_(gradient.sum(-2, keepdim=True, dtype=torch.float32))

    def _add_by_head(self, linear: Linear, left: Tensor, right: Tensor) -> None:
        """Add ``left.mT @ right`` to a weight's gradient, head by head.

        Args:
            linear: whose outputs are the heads side by side.
            left: of the outputs, shape ``(..., heads, texts, size)``.
            right: of the inputs, shape ``(..., heads, texts, hidden)``.
        """
        accumulate(_by_head(linear.weight_gradient, self.heads), left.mT, right)


class LeanBert:
    """Forward and backward of the classifiers whose weights are in a stack."""

    def __init__(self, stack: WeightStack, shape: Architecture, few_shapes: bool = False) -> None:
        """Make the layers.

        Args:
            stack: the weights.
            shape: the architecture.
            few_shapes: round numbers of rows up, so that matrices have few different shapes; for
                a single model only.
        """
        self._stack = stack
        self._few_shapes = few_shapes
        self._positions = stack.matrix("bert.embeddings.position_embeddings.weight")
        self._segments = stack.matrix("bert.embeddings.token_type_embeddings.weight")
        self._norm = stack.norm("bert.embeddings.LayerNorm")
        names = [f"bert.encoder.layer.{number}" for number in range(shape.layers)]
        self._layers: list[_Layer | _LastLayer] = [
            *(_Layer(stack, name, shape.heads) for name in names[:-1]),
            _LastLayer(stack, names[-1], shape.heads),
        ]
        self._pooler = stack.linear("bert.pooler.dense")
        self._classifier = stack.linear("classifier")
        self._kept: tuple[Any, ...] = ()

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits.

        Args:
            words: word embeddings of the texts, fp32, shape ``(..., texts, width, hidden)``,
                padded on the right; overwritten.
            lengths: tokens of each text, shape ``(..., texts)``, on the CPU: to look at them must
                not wait for a GPU.

        Returns:
            Shape ``(..., texts, labels)``, fp32.
        """
        texts, width = int(words.shape[-3]), int(words.shape[-2])
        layout = Layout.of(texts, width, self._few_shapes)
        words += (self._positions[0][..., :width, :] + self._segments[0][..., :1, :]).unsqueeze(-3)
        states, norm = self._norm.forward(words.flatten(-3, -2))
        states = with_rows(states.to(self._stack.computed.dtype), layout.rows)
        mask = _mask(lengths, width, states)
        for layer in self._layers:
            states = layer.forward(states, layout, mask)
        pooled = torch.tanh(self._pooler.forward(states))
        self._kept = (words.shape, norm, states, pooled, layout)
        logits: Tensor = self._classifier.forward(pooled)[..., :texts, :].float()
        return logits

    def backward(self, gradient: Tensor) -> Tensor:
        """Add to the stack's gradients; return the gradient of the word embeddings, fp32.

        Args:
            gradient: of the logits that :meth:`forward` returned last.
        """
        shape, norm, states, pooled, layout = self._kept
        gradient = with_rows(gradient.to(pooled.dtype), layout.first_rows)
        self._classifier.backward(gradient, pooled)
        gradient = self._classifier.inputs_gradient(gradient)
        gradient = gradient * (1 - pooled * pooled)
        self._pooler.backward(gradient, states)
        gradient = self._pooler.inputs_gradient(gradient)
        for layer in reversed(self._layers):
            gradient = layer.backward(gradient)
        words = self._norm.backward(layout.live(gradient).float(), norm).view(shape)
        places = words.sum(-3)
        self._positions[1][..., : shape[-2], :].add_(places)
        self._segments[1][..., :1, :].add_(places.sum(-2, keepdim=True))
        return words


def _by_head(weight: Tensor, heads: int) -> Tensor:
    """From ``(..., hidden, in)`` to ``(..., heads, size, in)``."""
    return weight.view(*weight.shape[:-2], heads, -1, weight.shape[-1])


def _mask(lengths: Tensor, width: int, like: Tensor) -> Tensor | None:
    """0 for a token and minus infinity for padding, shape ``(last texts, 1, width)``.

    Longest first, as texts come, those without padding are the first ones: they are left out.
    """
    padded = (lengths.reshape(-1) < width).nonzero()
    if len(padded) == 0:
        return None
    last = lengths.reshape(-1, 1, 1)[int(padded[0]) :].to(like.device)
    padding = torch.arange(width, device=like.device) >= last
    return like.new_zeros(padding.shape).masked_fill_(padding, -torch.inf)
