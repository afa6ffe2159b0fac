"""Forward and backward of the lean BERT's layers, for one model or a stack of models.

Written out by hand because automatic differentiation keeps, copies and zeroes more than is
needed. Activations have the shape ``(tokens, features)`` for one model, and
``(models, tokens, features)`` for a stack; the same code serves both. A weight's gradient is
added to, so that a batch can be worked on in chunks that fit the processor's cache.
"""

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
        outputs = inputs @ self.weight.mT
        outputs += self.bias
        return outputs

    def backward(self, gradient: Tensor, inputs: Tensor) -> None:
        """Add to the gradients of weight and bias."""
        accumulate(self.weight_gradient, gradient.mT, inputs)
        self.bias_gradient.add_(gradient.sum(-2, keepdim=True, dtype=torch.float32))

    def inputs_gradient(self, gradient: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return the gradient of the inputs, plus the residual connection's."""
        if residual is None:
            return gradient @ self.weight
        if gradient.ndim == 2:
            return torch.addmm(residual, gradient, self.weight)
        return torch.baddbmm(residual, gradient, self.weight)


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
    projected: Tensor, heads: int, width: int, mask: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """Scaled dot-product attention of all queries (Vaswani et al. 2017).

    Args:
        projected: queries, keys and values side by side, shape ``(..., tokens, 3 * hidden)``.
        heads: number of heads.
        width: tokens of each text.
        mask: 0 or minus infinity for every key, shape ``(texts, 1, width)``; None without
            padding.

    Returns:
        The mixed values, shape ``(..., tokens, hidden)``, and each head's attention weights.
    """
    hidden = projected.shape[-1] // 3
    parts = projected.view(-1, width, 3, heads, hidden // heads)
    mixed = projected.new_empty(parts.shape[0], width, heads, hidden // heads)
    weights: list[Tensor] = []
    for head in range(heads):
        query, key, value = parts[:, :, :, head].unbind(2)
        scores = projected.new_empty(parts.shape[0], width, width)
        torch.baddbmm(scores, query, key.mT, beta=0, alpha=(hidden // heads) ** -0.5, out=scores)
        if mask is not None:
            scores += mask
        scores -= scores.amax(-1, keepdim=True)
        scores.exp_()
        scores *= scores.sum(-1, keepdim=True).reciprocal_()
        mixed[:, :, head] = torch.bmm(scores, value)
        weights.append(scores)
    return mixed.view(*projected.shape[:-1], hidden), weights


def attention_backward(
    gradient: Tensor, projected: Tensor, mixed: Tensor, weights: list[Tensor], width: int
) -> Tensor:
    """Return the gradient of ``projected``; the arguments are those of :func:`attention`."""
    heads, hidden = len(weights), gradient.shape[-1]
    size = hidden // heads
    parts = projected.view(-1, width, 3, heads, size)
    incoming, outgoing = gradient.view(-1, width, heads, size), mixed.view(-1, width, heads, size)
    result = torch.empty_like(parts)
    for head, share in enumerate(weights):
        query, key, value = parts[:, :, :, head].unbind(2)
        own = incoming[:, :, head]
        result[:, :, 2, head] = torch.bmm(share.mT, own)
        scores = torch.bmm(own, value.mT)
        scores -= (own * outgoing[:, :, head]).sum(-1, keepdim=True)
        scores *= share
        scale = size**-0.5
        empty = own.new_empty(own.shape)
        result[:, :, 0, head] = torch.baddbmm(empty, scores, key, beta=0, alpha=scale)
        result[:, :, 1, head] = torch.baddbmm(empty, scores.mT, query, beta=0, alpha=scale)
    return result.view(projected.shape)
