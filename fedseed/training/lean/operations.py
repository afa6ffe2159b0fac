"""What the lean BERT's layers are made of, forward and backward: linear, layer norm, attention.

Written out by hand because automatic differentiation keeps, copies and zeroes more than is
needed. Activations have the shape ``(tokens, features)`` for one model, and
``(models, tokens, features)`` for a stack; the same code serves both. A weight's gradient is
added to, so that a batch can be worked on in chunks that fit the processor's cache.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fedseed.training.lean.layout import Layout

_aten = torch.ops.aten


@dataclass
class Reduced:
    """A matrix's gradient in a few directions, without the gradient itself.

    The sum over all tokens of ``(gradient @ left).T @ (inputs @ right.T)``.
    """

    left: Tensor | None
    """Shape ``(out, n)``, in the precision of computation; None for all directions."""
    right: Tensor | None
    """Shape ``(n, in)``."""
    total: Tensor
    """fp32."""

    def add(self, gradient: Tensor, inputs: Tensor) -> None:
        """Add some tokens', of shapes ``(rows, out)`` and ``(rows, in)``."""
        left = gradient if self.left is None else gradient @ self.left
        right = inputs if self.right is None else inputs @ self.right.mT
        self.total.add_(left.mT @ right)

    def follow(self, left: Tensor | None, right: Tensor | None) -> None:
        """Take directions that have moved."""
        for mine, theirs in ((self.left, left), (self.right, right)):
            if mine is not None and theirs is not None:
                mine.copy_(theirs)

    @classmethod
    def side_by_side(cls, parts: "Sequence[Reduced]") -> "Reduced":
        """All of some matrices of the same inputs as one, of which they become views.

        What it sums up besides, of one matrix's outputs in another's directions, nobody looks at.
        """
        lefts, rights = [p.left for p in parts], [p.right for p in parts]
        left = None if lefts[0] is None else torch.block_diag(*lefts)  # type: ignore[no-untyped-call]
        right = None if rights[0] is None else torch.cat([r for r in rights if r is not None])
        shapes = [part.total.shape for part in parts]
        rows = sum(shape[0] for shape in shapes)
        columns = shapes[0][1] if right is None else sum(shape[1] for shape in shapes)
        whole = cls(left, right, parts[0].total.new_zeros(rows, columns))
        outputs = row = column = 0
        for part in parts:
            down, across = part.total.shape
            part.total = whole.total[row : row + down, column : column + across]
            if left is not None and part.left is not None:
                part.left = left[outputs : outputs + len(part.left), row : row + down]
                outputs += len(part.left)
            row += down
            if right is not None:
                part.right = right[column : column + across]
                column += across
        return whole


@dataclass(frozen=True)
class Linear:
    """``x @ weight.T + bias``. Weights ``(..., out, in)``, bias ``(..., 1, out)``."""

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    trained: bool = field(default=True, kw_only=True)
    """Whether the weight's gradient is wanted."""
    reduced: tuple[Reduced, ...] = field(default=(), kw_only=True)
    """What is wanted of it in place of the whole."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the projection."""
        if inputs.dtype == torch.bfloat16 and inputs.ndim == 2 and _onednn_has_bf16():
            # As torch.nn.functional.linear, which copies the bias to all rows first.
            product = torch.ops.mkldnn._linear_pointwise
            fused: Tensor = product(inputs, self.weight, self.bias[0], "none", [], "")
            return fused
        outputs = inputs @ self.weight.mT
        outputs += self.bias
        return outputs

    def backward(self, gradient: Tensor, inputs: Tensor) -> None:
        """Add to the gradients of weight and bias."""
        if self.trained:
            accumulate(self.weight_gradient, gradient.mT, inputs)
        self.bias_gradient.add_(gradient.sum(-2, keepdim=True))

    def inputs_gradient(self, gradient: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return the gradient of the inputs, plus the residual connection's."""
        if residual is None:
            return gradient @ self.weight
        if gradient.ndim == 2:
            return torch.addmm(residual, gradient, self.weight)
        return torch.baddbmm(residual, gradient, self.weight)


@functools.cache
def _onednn_has_bf16() -> bool:
    """Whether oneDNN is there and has bf16 on this processor."""
    able = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return able is not None and bool(able())


def accumulate(total: Tensor, left: Tensor, right: Tensor) -> None:
    """``total += left @ right``, where the total may be of a wider type."""
    if total.dtype != left.dtype or left.ndim > 3:
        total.add_(left @ right)
    elif left.ndim == 2:
        total.addmm_(left, right)
    else:
        total.baddbmm_(left, right)


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last dimension (Ba et al. 2016), in fp32 inside."""

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    eps: float

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return the outputs, and what :meth:`backward` needs."""
        shape = [inputs.shape[-1]]
        out: Tensor
        if inputs.ndim == 2:
            weight, bias = self.weight[0], self.bias[0]
            out, mean, scale = _aten.native_layer_norm(inputs, shape, weight, bias, self.eps)
        else:
            plain, mean, scale = _aten.native_layer_norm(inputs, shape, None, None, self.eps)
            out = torch.addcmul(self.bias, plain, self.weight).to(inputs.dtype)
        return out, (inputs, mean, scale)

    def backward(self, gradient: Tensor, kept: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Add to the gradients of weight and bias; return the gradient of the inputs."""
        inputs, mean, scale = kept
        shape = [inputs.shape[-1]]
        back = _aten.native_layer_norm_backward
        out: Tensor
        if inputs.ndim == 2:
            out, weight, bias = back(
                gradient, inputs, shape, mean, scale, self.weight[0], self.bias[0],
                [True, True, True],
            )  # fmt: skip
            self.weight_gradient.add_(weight)
            self.bias_gradient.add_(bias)
        else:
            plain = (inputs - mean) * scale
            self.weight_gradient.add_((gradient * plain).sum(-2, keepdim=True))
            self.bias_gradient.add_(gradient.sum(-2, keepdim=True, dtype=torch.float32))
            wide = (gradient * self.weight).to(inputs.dtype)
            out = back(wide, inputs, shape, mean, scale, None, None, [True, False, False])[0]
        return out


def attention(
    projected: Tensor, heads: int, layout: Layout
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Scaled dot-product attention of all queries (Vaswani et al. 2017).

    Args:
        projected: queries, keys and values side by side, shape ``(..., rows, 3 * hidden)``.
        heads: number of heads.
        layout: where the texts are.

    Returns:
        The mixed values, shape ``(..., rows, hidden)``, and what :func:`attention_backward` needs.
    """
    split = layout.by_head(projected, heads, 3)
    size, width = split.shape[-1], layout.width
    query, key, value = parts = split.reshape(3, -1, width, size)
    scores = projected.new_empty(len(query), width, width)
    torch.baddbmm(scores, query, key.mT, beta=0, alpha=size**-0.5, out=scores)
    if layout.mask is not None:
        padded = scores.view(-1, heads, width, width)[-len(layout.mask) :]
        padded += layout.mask[:, None]
    weights = scores.softmax(-1)
    mixed = layout.new_rows(projected, projected.shape[-1] // 3)
    by_text = layout.by_head(mixed, heads)[0]
    by_text.copy_(torch.bmm(weights, value).view(by_text.shape))
    return mixed, (parts, weights)


def attention_backward(
    gradient: Tensor, kept: tuple[Tensor, Tensor], heads: int, layout: Layout
) -> Tensor:
    """Return the gradient of ``projected``.

    Args:
        gradient: of the mixed values.
        kept: what :func:`attention` returned with them.
        heads: number of heads.
        layout: where the texts are.
    """
    (query, key, value), weights = kept
    of_mixed = layout.by_head(gradient, heads).reshape(value.shape)
    inner = torch.bmm(of_mixed, value.mT)
    inner = torch._softmax_backward_data(inner, weights, -1, weights.dtype)
    scale, empty = query.shape[-1] ** -0.5, of_mixed.new_empty(of_mixed.shape)
    result = layout.new_rows(gradient, 3 * gradient.shape[-1])
    split = layout.by_head(result, heads, 3)
    shape = split.shape[1:]
    split[0].copy_(torch.baddbmm(empty, inner, key, beta=0, alpha=scale).view(shape))
    split[1].copy_(torch.baddbmm(empty, inner.mT, query, beta=0, alpha=scale).view(shape))
    split[2].copy_(torch.bmm(weights.mT, of_mixed).view(shape))
    return result
