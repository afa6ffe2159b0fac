"""The lean BERT's layers with kernels between torch's products: embeddings, and layers in bf16.

In bf16 torch's products are faster than those that kernels can call (oneDNN's, with bf16 results);
layers_in_blocks.py has the layers in fp32 and the last one.
"""

import torch
from torch import Tensor

from fedseed.training.kernels import operations
from fedseed.training.lean.layers import Embeddings, FeedForward, Layer
from fedseed.training.lean.layout import Layout
from fedseed.training.lean.operations import Linear
from fedseed.training.lean.stack import WeightStack


class FusedEmbeddings(Embeddings):
    """See Embeddings."""

    def forward(self, table: Tensor, places: Tensor, layout: Layout) -> Tensor:
        """See Embeddings."""
        states, norm = operations.embed(
            self.norm, table, places, layout, self.positions[0], self.segments[0], self.precision
        )
        self.kept = (norm, places, layout)
        return states

    def backward(self, gradient: Tensor, total: Tensor) -> None:
        """See Embeddings."""
        norm, places, layout = self.kept
        by_place = torch.zeros_like(self.positions[0][: layout.width])
        operations.embed_backward(self.norm, gradient, norm, places, total, by_place)
        self.positions[1][: layout.width].add_(by_place)
        self.segments[1][0].add_(by_place.sum(0))


class FusedFeedForward(FeedForward):
    """See FeedForward."""

    def forward(self, mixed: Tensor, residual: Tensor) -> Tensor:
        """See FeedForward."""
        attended = self.project.forward(mixed)
        middle, first = operations.add_norm(self.attention_norm, attended, residual)
        slopes = self.widen.forward(middle)
        active = operations.gelu(slopes)
        outputs, second = operations.add_norm(self.output_norm, self.narrow.forward(active), middle)
        self.kept = (mixed, first, middle, slopes, active, second)
        return outputs

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """See FeedForward."""
        mixed, first, middle, slopes, active, second = self.kept
        gradient = operations.norm_backward(self.output_norm, gradient, second, self.narrow)
        operations.add_product(self.narrow, gradient, active)
        inner = self.narrow.inputs_gradient(gradient)
        operations.gelu_backward(inner, slopes, self.widen)
        operations.add_product(self.widen, inner, middle)
        inner = self.widen.inputs_gradient(inner)
        gradient = operations.norm_backward(
            self.attention_norm, inner, first, self.project, gradient
        )
        operations.add_product(self.project, gradient, mixed)
        return self.project.inputs_gradient(gradient), gradient


class FusedLayer(Layer):
    """See Layer."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        super().__init__(stack, prefix, heads, FusedFeedForward)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """See Layer."""
        mixed, attended = _attention(self.projections, states, self.heads, layout)
        self.kept = (states, attended, layout)
        return self.rest.forward(mixed, states)

    def backward(self, gradient: Tensor) -> Tensor:
        """See Layer."""
        states, attended, layout = self.kept
        gradient, residual = self.rest.backward(gradient)
        inner = _attention_backward(self.projections, gradient, attended, self.heads, layout)
        operations.add_product(self.projections, inner, states)
        return self.projections.inputs_gradient(inner, residual)


class TiledLayer(FusedLayer):
    """See Layer; attention on the processor's matrix tiles (attention_in_tiles.inc).

    For heads of a multiple of 32 features. Outputs of padding are zero.
    """

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """See Layer."""
        projected = self.projections.forward(states)
        mixed, logs = operations.attention(projected, layout, self.heads)
        self.kept = (states, (projected, mixed, logs), layout)
        return self.rest.forward(mixed, states)

    def backward(self, gradient: Tensor) -> Tensor:
        """See Layer."""
        states, attended, layout = self.kept
        gradient, residual = self.rest.backward(gradient)
        inner = operations.attention_backward(
            gradient, attended, layout, self.heads, self.projections
        )
        operations.add_product(self.projections, inner, states)
        return self.projections.inputs_gradient(inner, residual)


def _attention(
    projections: Linear, states: Tensor, heads: int, layout: Layout
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """See attention in lean/operations.py."""
    query, key, value = parts = operations.split(projections.forward(states), layout, 3, heads)
    weights = query.new_empty(len(query), layout.width, layout.width)
    torch.baddbmm(weights, query, key.mT, beta=0, alpha=query.shape[-1] ** -0.5, out=weights)
    operations.softmax(weights, layout, heads)
    mixed = operations.merge(torch.bmm(weights, value)[None], layout, heads)
    return mixed, (parts, weights)


def _attention_backward(
    projections: Linear,
    gradient: Tensor,
    kept: tuple[Tensor, Tensor],
    heads: int,
    layout: Layout,
) -> Tensor:
    """See attention_backward in lean/operations.py; adds to the bias's gradient as well."""
    (query, key, value), weights = kept
    (of_mixed,) = operations.split(gradient, layout, 1, heads)
    inner = torch.bmm(of_mixed, value.mT)
    operations.softmax_backward(inner, weights)
    scale = query.shape[-1] ** -0.5
    gradients = of_mixed.new_empty(3, *of_mixed.shape)
    torch.baddbmm(gradients[0], inner, key, beta=0, alpha=scale, out=gradients[0])
    torch.baddbmm(gradients[1], inner.mT, query, beta=0, alpha=scale, out=gradients[1])
    torch.bmm(weights.mT, of_mixed, out=gradients[2])
    return operations.merge(gradients, layout, heads, projections)
