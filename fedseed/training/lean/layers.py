"""The layers of the lean BERT, forward and backward: embeddings, one for all tokens, the last."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fedseed.training.lean.layout import Layout, with_rows
from fedseed.training.lean.operations import Linear, accumulate, attention, attention_backward
from fedseed.training.lean.stack import WeightStack


class Embeddings:
    """The sum of the words', positions' and segment's embeddings, normalised."""

    def __init__(self, stack: WeightStack) -> None:
        self.positions = stack.matrix("bert.embeddings.position_embeddings.weight")
        self.segments = stack.matrix("bert.embeddings.token_type_embeddings.weight")
        self.norm = stack.norm("bert.embeddings.LayerNorm")
        self.precision = stack.computed.dtype
        self.kept: tuple[Any, ...] = ()

    def forward(self, table: Tensor, places: Tensor, layout: Layout) -> Tensor:
        """Return the first layer's inputs; see LeanBert for table and places."""
        words = table.index_select(0, places.reshape(-1)).view(*places.shape, -1)
        others = self.positions[0][..., : layout.width, :] + self.segments[0][..., :1, :]
        words += others.unsqueeze(-3)
        states, norm = self.norm.forward(words.flatten(-3, -2))
        self.kept = (norm, places, layout)
        return with_rows(states.to(self.precision), layout.rows)

    def backward(self, gradient: Tensor, total: Tensor) -> None:
        """Add to the gradients.

        Args:
            gradient: of what :meth:`forward` returned last.
            total: gradient of the table.
        """
        norm, places, layout = self.kept
        rows = self.norm.backward(layout.live(gradient).float(), norm)
        by_text = rows.view(*places.shape, -1).sum(-3)
        self.positions[1][..., : layout.width, :].add_(by_text)
        self.segments[1][..., :1, :].add_(by_text.sum(-2, keepdim=True))
        total.index_add_(0, places.reshape(-1), rows.reshape(-1, rows.shape[-1]))


class FeedForward:
    """What follows the attention in a layer: its projection, and the feed-forward network."""

    def __init__(self, stack: WeightStack, prefix: str, fp32: bool = False) -> None:
        self.project = stack.linear(f"{prefix}.attention.output.dense", fp32=fp32)
        self.attention_norm = stack.norm(f"{prefix}.attention.output.LayerNorm")
        self.widen = stack.linear(f"{prefix}.intermediate.dense", fp32=fp32)
        self.narrow = stack.linear(f"{prefix}.output.dense", fp32=fp32)
        self.output_norm = stack.norm(f"{prefix}.output.LayerNorm")
        self.kept: tuple[Any, ...] = ()

    def forward(self, mixed: Tensor, residual: Tensor) -> Tensor:
        """Return the layer's outputs, shape ``(..., rows, hidden)`` as both inputs."""
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


class Layer:
    """A layer for all tokens."""

    def __init__(
        self, stack: WeightStack, prefix: str, heads: int, rest: type[FeedForward] = FeedForward
    ) -> None:
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        self.projections = stack.linear(*parts)
        self.rest = rest(stack, prefix)
        self.heads = heads
        self.kept: tuple[Any, ...] = ()

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return the outputs of all tokens."""
        projected = self.projections.forward(states)
        mixed, attended = attention(projected, self.heads, layout)
        self.kept = (states, attended, layout)
        return self.rest.forward(mixed, states)

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the inputs."""
        states, attended, layout = self.kept
        gradient, residual = self.rest.backward(gradient)
        inner = attention_backward(gradient, attended, self.heads, layout)
        self.projections.backward(inner, states)
        return self.projections.inputs_gradient(inner, residual)


class LastLayer:
    """The last layer, for the first token of every text."""

    def __init__(
        self,
        stack: WeightStack,
        prefix: str,
        heads: int,
        rest: type[FeedForward] = FeedForward,
        fp32: bool = False,
    ) -> None:
        self.query, self.key, self.value = (
            stack.linear(f"{prefix}.attention.self.{part}", fp32=fp32)
            for part in ("query", "key", "value")
        )
        self.rest = rest(stack, prefix, fp32)
        self.heads = heads
        self.kept: tuple[Any, ...] = ()

    def _split(self, states: Tensor) -> Tensor:
        """From ``(..., texts, hidden)`` to ``(..., heads, texts, size)``."""
        return states.view(*states.shape[:-1], self.heads, -1).transpose(-3, -2)

    def _by_head(self, linear: Linear) -> Tensor:
        return by_head(linear.weight, self.heads)

    def _rows(self, states: Tensor, layout: Layout) -> Tensor:
        """From ``(..., heads, first rows, hidden)`` to ``(all texts, heads, hidden)``."""
        states = states[..., : layout.texts, :]
        return states.transpose(-3, -2).reshape(-1, self.heads, states.shape[-1])

    def _heads_first(self, rows: Tensor, lead: torch.Size, layout: Layout) -> Tensor:
        """The inverse of :meth:`_rows`, with zeros in the rows that belong to no text."""
        by_text = rows.view(*lead, layout.texts, self.heads, rows.shape[-1])
        return with_rows(by_text.transpose(-3, -2), layout.first_rows)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return the outputs of the first tokens."""
        lead, hidden = states.shape[:-2], states.shape[-1]
        by_text = layout.live(states).view(*lead, layout.texts, layout.width, hidden)
        texts = by_text.view(-1, layout.width, hidden)
        first = with_rows(by_text[..., 0, :], layout.first_rows)
        query = self._split(self.query.forward(first))
        scale = query.shape[-1] ** -0.5
        asking = self._rows(query @ self._by_head(self.key), layout)
        scores = torch.bmm(asking, texts.mT) * scale
        if layout.mask is not None:
            scores[-len(layout.mask) :] += layout.mask
        weights = scores.softmax(-1)
        mixed = self._heads_first(torch.bmm(weights, texts), lead, layout)
        values = (mixed @ self._by_head(self.value).mT).transpose(-3, -2).flatten(-2)
        values += self.value.bias
        self.kept = (states, texts, first, query, asking, weights, mixed, scale, layout)
        return self.rest.forward(values, first)

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the inputs."""
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
        of_first = self.query.inputs_gradient(inner, residual)[..., : layout.texts, :]
        out.view(*lead, layout.texts, layout.width, hidden)[..., 0, :] += of_first
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
        accumulate(by_head(linear.weight_gradient, self.heads), left.mT, right)


def by_head(weight: Tensor, heads: int) -> Tensor:
    """From ``(..., hidden, in)`` to ``(..., heads, size, in)``."""
    return weight.view(*weight.shape[:-2], heads, -1, weight.shape[-1])


class LayerKinds(NamedTuple):
    """What a lean BERT is built of: these classes, or others that compute the same function."""

    embeddings: type[Embeddings] = Embeddings
    layer: type[Layer] = Layer
    last_layer: type[LastLayer] = LastLayer
    fp32_head: bool = False
    """Whether what follows the last layer computes in fp32 whatever the stack's precision."""


TORCH_LAYERS = LayerKinds()
