"""The lean BERT's layers as one call each way, which makes the matrix products as well.

In fp32, in blocks of rows that stay in a core's cache (layers_in_blocks.h); the last layer's
attention, which has one query for each text, after layers of any precision (last_layer_by_type.h).
"""

import torch
from torch import Tensor

from fedseed.training.fused import check_lengths
from fedseed.training.kernels import Addresses, call
from fedseed.training.layers import Layout, Linear, Norm
from fedseed.training.lean_layers import FeedForward, LastLayer, Layer
from fedseed.training.stack import WeightStack


class BlockedFeedForward(FeedForward):
    """See FeedForward."""

    def __init__(self, stack: WeightStack, prefix: str, wide: bool = False) -> None:
        super().__init__(stack, prefix, wide)
        self._parameters = _addresses(
            self.project, self.attention_norm, self.widen, self.narrow, self.output_norm
        )
        self._wide = len(self.widen.weight)

    def forward(self, mixed: Tensor, residual: Tensor) -> Tensor:
        """See FeedForward."""
        rows, hidden = mixed.shape
        first, middle, second, outputs = (torch.empty_like(mixed) for _ in range(4))
        slopes, active = (mixed.new_empty(rows, self._wide) for _ in range(2))
        first_scales, second_scales = mixed.new_empty(2, rows)
        inner = (first, first_scales, middle, slopes, active, second, second_scales)
        call(
            "feed_forward", mixed, residual, self._parameters, *inner, outputs, rows, hidden,
            self._wide, self.output_norm.eps,
        )  # fmt: skip
        self.kept = (mixed, *inner)
        return outputs

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """See FeedForward."""
        mixed, *inner = self.kept
        of_mixed, of_residual = torch.empty_like(mixed), torch.empty_like(mixed)
        call(
            "feed_forward_backward", gradient, mixed, self._parameters, *inner, of_mixed,
            of_residual, *mixed.shape, self._wide,
        )  # fmt: skip
        return of_mixed, of_residual


class BlockedLayer(Layer):
    """See Layer."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        super().__init__(stack, prefix, heads, BlockedFeedForward)
        self._parameters = _addresses(self.projections)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """See Layer."""
        check_lengths(layout.lengths, layout.width)
        texts, width, hidden = layout.texts, layout.width, states.shape[-1]
        mixed = layout.new_rows(states, hidden)
        projected = states.new_empty(texts * width, 3 * hidden)
        weights = states.new_empty(texts, self.heads, width, width)
        call(
            "attention", states, self._parameters, layout.lengths.contiguous(), projected, weights,
            mixed, texts, width, self.heads, hidden // self.heads,
        )  # fmt: skip
        self.kept = (states, projected, weights, layout)
        return self.rest.forward(mixed, states)

    def backward(self, gradient: Tensor) -> Tensor:
        """See Layer."""
        states, projected, weights, layout = self.kept
        gradient, outputs = self.rest.backward(gradient)
        call(
            "attention_backward", gradient, states, self._parameters, projected, weights, outputs,
            layout.texts, layout.width, self.heads, states.shape[-1] // self.heads,
        )  # fmt: skip
        return outputs


class OneQueryLayer(LastLayer):
    """See LastLayer; in fp32 but for the states that it looks at."""

    def __init__(self, stack: WeightStack, prefix: str, heads: int) -> None:
        super().__init__(stack, prefix, heads, BlockedFeedForward, wide=True)
        self._parameters = [_addresses(part) for part in (self.query, self.key, self.value)]

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """See LastLayer."""
        check_lengths(layout.lengths, layout.width)
        texts, width, hidden = layout.texts, layout.width, states.shape[-1]
        first, queries, values = self.query.weight.new_zeros(3, layout.first_rows, hidden)
        asking, mixed = first.new_empty(2, texts, self.heads, hidden)
        weights = first.new_empty(texts, self.heads, width)
        inner = (first, queries, asking, weights, mixed)
        call(
            "last_attention", states, *self._parameters, layout.lengths.contiguous(), *inner,
            values, texts, width, self.heads, hidden // self.heads,
        )  # fmt: skip
        self.kept = (states, inner, layout)
        return self.rest.forward(values, first)

    def backward(self, gradient: Tensor) -> Tensor:
        """See LastLayer."""
        states, inner, layout = self.kept
        gradient, of_first = self.rest.backward(gradient)
        outputs: Tensor = layout.new_rows(states, states.shape[-1])
        call(
            "last_attention_backward", states, gradient, *self._parameters, *inner, of_first,
            outputs, layout.texts, layout.width, self.heads, states.shape[-1] // self.heads,
        )  # fmt: skip
        return outputs


def _addresses(*parts: Linear | Norm) -> Addresses:
    """Of some layers' parameters, as the kernels want them."""
    return Addresses(
        array
        for part in parts
        for array in (part.weight, part.bias, part.weight_gradient, part.bias_gradient)
    )
