"""Forward and backward of the lean BERT's layers, for one model or a stack of models.

Written out by hand because automatic differentiation keeps, copies and zeroes more than is
needed. Activations have the shape ``(tokens, features)`` for one model, and
``(models, tokens, features)`` for a stack; the same code serves both. A weight's gradient is
added to, so that a batch can be worked on in chunks that fit the processor's cache.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

_aten = torch.ops.aten


@dataclass(frozen=True)
class Linear:
    """``x @ weight.T + bias``. Weights ``(..., out, in)``, bias ``(..., 1, out)``."""

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor

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


_ROWS, _FIRST_ROWS = 256, 16
"""What numbers of rows are rounded up to multiples of, if they are."""


@dataclass(frozen=True)
class Layout:
    """How a chunk's tokens lie in the rows of its activations: text after text, then zeros."""

    texts: int
    width: int
    """Tokens of each text."""
    rows: int
    """Rows of one model, at least ``texts * width``."""
    first_rows: int
    """Rows of one model where every text has one, at least ``texts``."""
    lengths: Tensor
    """Tokens of each text, shape ``(..., texts)``, on the CPU."""
    like: Tensor
    """Of the type and on the device of the mask."""

    @classmethod
    def of(cls, lengths: Tensor, width: int, few_shapes: bool, like: Tensor) -> "Layout":
        """Rows for some texts, rounded up or not; the mask gets another array's type and device."""
        texts = lengths.shape[-1]
        if not few_shapes:
            return cls(texts, width, texts * width, texts, lengths, like)
        rows, first_rows = -(-texts * width // _ROWS), -(-texts // _FIRST_ROWS)
        return cls(texts, width, _ROWS * rows, _FIRST_ROWS * first_rows, lengths, like)

    @functools.cached_property
    def mask(self) -> Tensor | None:
        """0 for a token and minus infinity for padding, shape ``(last texts, 1, width)``.

        Longest first, as texts come, those without padding are the first ones: they are left out.
        None without padding.
        """
        lengths, device = self.lengths.reshape(-1), self.like.device
        padded = (lengths < self.width).nonzero()
        if len(padded) == 0:
            return None
        last = lengths[int(padded[0]) :].to(device)[:, None, None]
        padding = torch.arange(self.width, device=device) >= last
        return self.like.new_zeros(padding.shape).masked_fill_(padding, -torch.inf)

    def live(self, rows: Tensor) -> Tensor:
        """The rows of the texts' tokens."""
        return rows[..., : self.texts * self.width, :]

    def new_rows(self, like: Tensor, features: int) -> Tensor:
        """Rows to be filled for the texts, zero where there are none."""
        new = like.new_empty(*like.shape[:-2], self.rows, features)
        new[..., self.texts * self.width :, :].zero_()
        return new

    def by_head(self, rows: Tensor, heads: int, parts: int = 1) -> Tensor:
        """From ``(..., rows, parts * hidden)`` to ``(parts, all texts, heads, width, size)``."""
        size = rows.shape[-1] // heads // parts
        live = self.live(rows).view(-1, self.width, parts, heads, size)
        return live.permute(2, 0, 3, 1, 4)


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
        by_text = scores.view(-1, heads, width, width)[-len(layout.mask) :]
        by_text += layout.mask[:, None]
    weights = scores.softmax(-1)
    mixed = layout.new_rows(projected, projected.shape[-1] // 3)
    own = layout.by_head(mixed, heads)[0]
    own.copy_(torch.bmm(weights, value).view(own.shape))
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
    own = layout.by_head(gradient, heads).reshape(value.shape)
    inner = torch.bmm(own, value.mT)
    inner = torch._softmax_backward_data(inner, weights, -1, weights.dtype)
    scale, empty = query.shape[-1] ** -0.5, own.new_empty(own.shape)
    result = layout.new_rows(gradient, 3 * gradient.shape[-1])
    split = layout.by_head(result, heads, 3)
    shape = split.shape[1:]
    split[0].copy_(torch.baddbmm(empty, inner, key, beta=0, alpha=scale).view(shape))
    split[1].copy_(torch.baddbmm(empty, inner.mT, query, beta=0, alpha=scale).view(shape))
    split[2].copy_(torch.bmm(weights.mT, own).view(shape))
    return result


def with_rows(part: Tensor, rows: int) -> Tensor:
    """The same with rows of zeros below, shape ``(..., rows, features)``."""
    if part.shape[-2] == rows:
        return part
    return torch.nn.functional.pad(part, (0, 0, 0, rows - part.shape[-2]))
