"""The lean BERT's layers as one call each way, which makes the matrix products as well.

In fp32, in blocks of rows that stay in a core's cache (layers_in_blocks.inc); the last layer's
attention, which has one query for each text, after layers of any precision
(last_layer_by_type.inc).
"""

import torch
from torch import Tensor

from fedseed.models.architecture import Architecture
from fedseed.training.kernels.calls import call
from fedseed.training.kernels.layers import FusedEmbeddings, FusedLayer, TiledLayer
from fedseed.training.kernels.library import has_tiles
from fedseed.training.kernels.signatures import LayerParameters
from fedseed.training.lean.layers import FeedForward, LastLayer, Layer, LayerKinds
from fedseed.training.lean.layout import Layout
from fedseed.training.lean.operations import Linear, Norm
from fedseed.training.lean.stack import WeightStack


class BlockedFeedForward(FeedForward):
    """See FeedForward."""

    def __init__(self, stack: WeightStack, prefix: str, fp32: bool = False) -> None:
        super().__init__(stack, prefix, fp32)
        self._parameters = {
            "project": _parameters(self.project),
            "attention_norm": _parameters(self.attention_norm),
            "widen": _parameters(self.widen),
            "narrow": _parameters(self.narrow),
            "output_norm": _parameters(self.output_norm),
        }
        self._wide = len(self.widen.weight)

    def forward(self, mixed: Tensor, residual: Tensor) -> Tensor:
        """See FeedForward."""
        rows, hidden = mixed.shape
        first, middle, second, outputs = (torch.empty_like(mixed) for _ in range(4))
        slopes, active = (mixed.new_empty(rows, self._wide) for _ in range(2))
        first_scales, second_scales = mixed.new_empty(2, rows)
        inner = {
            "first": first, "first_scales": first_scales, "middle": middle, "slopes": slopes,
            "active": active, "second": second, "second_scales": second_scales,
        }  # fmt: skip
        call(
            "feed_forward_f32", mixed=mixed, residual=residual, outputs=outputs, rows=rows,
            hidden=hidden, wide=self._wide, eps=self.output_norm.eps, **self._parameters, **inner,
        )  # fmt: skip
        self.kept = (mixed, inner)
        return outputs

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """See FeedForward."""
        mixed, inner = self.kept
        rows, hidden = mixed.shape
        of_mixed, of_residual = torch.empty_like(mixed), torch.empty_like(mixed)
        call(
            "feed_forward_backward_f32", gradient=gradient, mixed=mixed, of_mixed=of_mixed,
            of_residual=of_residual, rows=rows, hidden=hidden, wide=self._wide,
            **self._parameters, **inner,
        )  # fmt: skip
        return of_mixed, of_residual


class BlockedLayer(Layer):
    """See Layer."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        super().__init__(stack, prefix, heads, BlockedFeedForward)
        self._parameters = _parameters(self.projections)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """See Layer."""
        texts, width, hidden = layout.texts, layout.width, states.shape[-1]
        mixed = layout.new_rows(states, hidden)
        projected = states.new_empty(texts * width, 3 * hidden)
        weights = states.new_empty(texts, self.heads, width, width)
        call(
            "attention_f32", states=states, projections=self._parameters, lengths=layout.lengths,
            projected=projected, weights=weights, mixed=mixed,
            **_sizes(layout, self.heads, hidden),
        )  # fmt: skip
        self.kept = (states, projected, weights, layout)
        return self.rest.forward(mixed, states)

    def backward(self, gradient: Tensor) -> Tensor:
        """See Layer."""
        states, projected, weights, layout = self.kept
        gradient, outputs = self.rest.backward(gradient)
        call(
            "attention_backward_f32", gradient=gradient, states=states,
            projections=self._parameters, projected=projected, weights=weights, outputs=outputs,
            **_sizes(layout, self.heads, states.shape[-1]),
        )  # fmt: skip
        return outputs


class OneQueryLayer(LastLayer):
    """See LastLayer; in fp32 but for the states that it looks at."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        super().__init__(stack, prefix, heads, BlockedFeedForward, fp32=True)
        self._parameters = {
            "query": _parameters(self.query),
            "key": _parameters(self.key),
            "value": _parameters(self.value),
        }

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """See LastLayer."""
        texts, width, hidden = layout.texts, layout.width, states.shape[-1]
        first, queries, values = self.query.weight.new_zeros(3, layout.first_rows, hidden)
        asking, mixed = first.new_empty(2, texts, self.heads, hidden)
        weights = first.new_empty(texts, self.heads, width)
        inner = {
            "first": first, "queries": queries, "asking": asking, "weights": weights,
            "mixed": mixed,
        }  # fmt: skip
        call(
            "last_attention", states=states, lengths=layout.lengths, values=values,
            **self._parameters, **inner, **_sizes(layout, self.heads, hidden),
        )  # fmt: skip
        self.kept = (states, inner, layout)
        return self.rest.forward(values, first)

    def backward(self, gradient: Tensor) -> Tensor:
        """See LastLayer."""
        states, inner, layout = self.kept
        hidden = states.shape[-1]
        gradient, of_first = self.rest.backward(gradient)
        outputs: Tensor = layout.new_rows(states, hidden)
        call(
            "last_attention_backward", states=states, gradient=gradient, of_first=of_first,
            outputs=outputs, **self._parameters, **inner, **_sizes(layout, self.heads, hidden),
        )  # fmt: skip
        return outputs


def kernel_layers(precision: torch.dtype, shape: Architecture) -> LayerKinds:
    """Layers that compute with kernels, for one model on a CPU.

    Args:
        precision: of the activations, fp32 or bf16.
        shape: the model's.
    """
    layer: type[Layer] = FusedLayer if precision == torch.bfloat16 else BlockedLayer
    if precision == torch.bfloat16 and has_tiles() and shape.hidden // shape.heads % 32 == 0:
        layer = TiledLayer
    return LayerKinds(FusedEmbeddings, layer, OneQueryLayer, fp32_head=True)


def _parameters(layer: Linear | Norm) -> LayerParameters:
    return LayerParameters(
        layer.weight, layer.bias, layer.weight_gradient, layer.bias_gradient
    )  # fmt: skip


def _sizes(layout: Layout, heads: int, hidden: int) -> dict[str, int]:
    """Of the texts, as attention's kernels are given them."""
    return {
        "texts": layout.texts, "width": layout.width, "heads": heads, "features": hidden // heads,
    }  # fmt: skip
