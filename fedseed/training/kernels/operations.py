"""One pass over activations where torch makes several, for one model on a CPU.

These operations lie between the matrix products of a step in bf16; in fp32 the kernels make the
products as well, see layers_in_blocks.py. Embeddings and Adam serve both. Arrays are contiguous,
rows end to end, and sums over rows are made in fp32. Where the kernels are not available, and for
stacks, GPUs and DP-SGD, torch's operators do the same work; tests/training holds both to Hugging
Face's results.
"""

import torch
from torch import Tensor

from fedseed.training.kernels.calls import call
from fedseed.training.lean.layout import Layout
from fedseed.training.lean.operations import Linear, Norm


def embed(
    norm: Norm,
    table: Tensor,
    places: Tensor,
    layout: Layout,
    positions: Tensor,
    segments: Tensor,
    precision: torch.dtype,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the layer norm of words, positions and first segment, and what was kept of it.

    Args:
        norm: the layer.
        table: word embeddings, shape ``(words, hidden)``.
        places: rows of the table, shape ``(texts, width)``, int64.
        layout: where the texts go; other rows are zero.
        positions: shape ``(positions, hidden)``.
        segments: shape ``(segments, hidden)``.
        precision: of what is returned.

    Returns:
        Shape ``(layout.rows, hidden)``, and what :func:`embed_backward` needs.

    Raises:
        IndexError: a row that the table does not have, or more tokens than positions.
    """
    if places.shape[-1] > len(positions):
        raise IndexError(f"a text of {places.shape[-1]} tokens for {len(positions)} positions")
    hidden = table.shape[-1]
    outputs = table.new_empty(layout.rows, hidden, dtype=precision)
    outputs[places.numel() :].zero_()
    normalised = table.new_empty(places.numel(), hidden, dtype=precision)
    scales = table.new_empty(places.numel())
    call(
        "embed", outputs=outputs, normalised=normalised, scales=scales, table=table,
        places=places.contiguous(), positions=positions, segment=segments, weight=norm.weight,
        shift=norm.bias, words=len(table), texts=len(places), width=places.shape[1],
        features=hidden, eps=norm.eps,
    )  # fmt: skip
    return outputs, (normalised, scales)


def embed_backward(
    norm: Norm,
    gradient: Tensor,
    kept: tuple[Tensor, Tensor],
    places: Tensor,
    total: Tensor,
    by_place: Tensor,
) -> None:
    """Add to the gradients of the layer, of the words and of the positions.

    Args:
        norm: the layer.
        gradient: of the outputs of :func:`embed`.
        kept: what it returned with them.
        places: as it was given.
        total: gradient of the table, shape ``(words, hidden)``.
        by_place: gradient of the positions, shape ``(width, hidden)``.
    """
    normalised, scales = kept
    call(
        "embed_backward", gradients=gradient, normalised=normalised, scales=scales,
        places=places.contiguous(), weight=norm.weight, weight_gradient=norm.weight_gradient,
        shift_gradient=norm.bias_gradient, table_gradient=total, position_gradients=by_place,
        words=len(total), texts=len(places), width=places.shape[1], features=total.shape[-1],
    )  # fmt: skip


def gelu(inputs: Tensor) -> Tensor:
    """Return the GELU of inputs in bf16; these become its slopes there."""
    outputs = torch.empty_like(inputs)
    call("gelu_bf16", inputs=inputs, outputs=outputs, count=inputs.numel())
    return outputs


def gelu_backward(gradient: Tensor, slopes: Tensor, linear: Linear) -> None:
    """Turn the gradient of the outputs into that of the inputs, in place.

    Args:
        gradient: shape ``(rows, features)``; overwritten.
        slopes: what :func:`gelu` has left of its inputs.
        linear: the layer that made these; its bias's gradient is added to.
    """
    rows, features = gradient.shape
    call(
        "gelu_backward", gradients=gradient, slopes=slopes, bias_gradient=linear.bias_gradient,
        rows=rows, features=features,
    )  # fmt: skip


def add_norm(norm: Norm, inputs: Tensor, residual: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the layer norm of a sum, and what :func:`norm_backward` needs.

    Args:
        norm: the layer.
        inputs: shape ``(rows, features)``; overwritten by what is normalised.
        residual: of their shape.
    """
    rows, features = inputs.shape
    outputs = torch.empty_like(inputs)
    scales = inputs.new_empty(rows, dtype=torch.float32)
    call(
        "add_norm", inputs=inputs, bias=None, residual=residual.contiguous(), weight=norm.weight,
        shift=norm.bias, outputs=outputs, scales=scales, rows=rows, features=features,
        eps=norm.eps,
    )  # fmt: skip
    return outputs, (inputs, scales)


def norm_backward(
    norm: Norm,
    gradient: Tensor,
    kept: tuple[Tensor, Tensor],
    linear: Linear,
    residual: Tensor | None = None,
) -> Tensor:
    """Return the gradient of the sum.

    Args:
        norm: the layer; its gradients are added to.
        gradient: of the outputs, shape ``(rows, features)``.
        kept: what :func:`add_norm` returned with them.
        linear: the layer whose outputs were part of the sum; its bias's gradient is added to.
        residual: more of the outputs' gradient, or None.
    """
    normalised, scales = kept
    rows, features = gradient.shape
    outputs = torch.empty_like(gradient)
    call(
        "norm_backward", gradients=gradient, residual=residual, normalised=normalised,
        scales=scales, weight=norm.weight, outputs=outputs, weight_gradient=norm.weight_gradient,
        shift_gradient=norm.bias_gradient, bias_gradient=linear.bias_gradient, rows=rows,
        features=features,
    )  # fmt: skip
    return outputs


def attention(projected: Tensor, layout: Layout, heads: int) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention of all queries, in bf16 on matrix tiles.

    Args:
        projected: queries, keys and values side by side, shape ``(rows, 3 * hidden)``.
        layout: where the texts are.
        heads: number of heads, each of a multiple of 32 features.

    Returns:
        The mixed values, shape ``(rows, hidden)``, 0 for padding, and the logarithms to base 2 of
        the softmax's sums, shape ``(texts, heads, width)``, undefined for padding.
    """
    hidden = projected.shape[-1] // 3
    mixed = layout.new_rows(projected, hidden)
    logs = projected.new_empty(layout.texts, heads, layout.width, dtype=torch.float32)
    call(
        "attention_in_tiles", projected=projected, lengths=layout.lengths, mixed=mixed, logs=logs,
        texts=layout.texts, width=layout.width, heads=heads, features=hidden // heads,
    )  # fmt: skip
    return mixed, logs


def attention_backward(
    gradient: Tensor,
    kept: tuple[Tensor, Tensor, Tensor],
    layout: Layout,
    heads: int,
    linear: Linear,
) -> Tensor:
    """Return the gradient of ``projected``.

    Args:
        gradient: of the mixed values.
        kept: what :func:`attention` was given and has returned.
        layout: where the texts are.
        heads: number of heads.
        linear: the layer that projected; its bias's gradient is added to.
    """
    projected, mixed, logs = kept
    hidden = gradient.shape[-1]
    outputs = layout.new_rows(gradient, 3 * hidden)
    call(
        "attention_in_tiles_backward", projected=projected, gradient=gradient.contiguous(),
        mixed=mixed, logs=logs, lengths=layout.lengths, outputs=outputs,
        bias_gradient=linear.bias_gradient, texts=layout.texts, width=layout.width, heads=heads,
        features=hidden // heads,
    )  # fmt: skip
    return outputs


def softmax(scores: Tensor, layout: Layout, heads: int) -> None:
    """Softmax in place over each text's own tokens; padding gets 0.

    Args:
        scores: shape ``(texts * heads, width, width)``.
        layout: the texts.
        heads: number of heads.
    """
    call(
        "softmax", scores=scores, lengths=layout.lengths, texts=layout.texts,
        rows=heads * layout.width, width=layout.width,
    )  # fmt: skip


def softmax_backward(gradient: Tensor, weights: Tensor) -> None:
    """Turn the gradient of a softmax into that of its inputs, in place."""
    width = gradient.shape[-1]
    rows = gradient.numel() // width
    call("softmax_backward", gradients=gradient, weights=weights, rows=rows, width=width)


def split(rows: Tensor, layout: Layout, parts: int, heads: int) -> Tensor:
    """Cut rows in bf16 into parts and heads; the inverse of :func:`merge`.

    Args:
        rows: shape ``(rows, parts * hidden)``.
        layout: where the texts are.
        parts: of each row.
        heads: of each part.

    Returns:
        Shape ``(parts, texts * heads, width, size)``.
    """
    size = rows.shape[-1] // parts // heads
    outputs = rows.new_empty(parts, layout.texts * heads, layout.width, size)
    call(
        "split_bf16", rows=rows, outputs=outputs, parts=parts, texts=layout.texts,
        width=layout.width, heads=heads, features=size,
    )  # fmt: skip
    return outputs


def merge(parts: Tensor, layout: Layout, heads: int, linear: Linear | None = None) -> Tensor:
    """Put parts and heads side by side, with zeros in the rows that belong to no text.

    Args:
        parts: shape ``(parts, texts * heads, width, size)``.
        layout: where the texts go.
        heads: of each part.
        linear: the layer whose outputs' gradients these are; its bias's gradient is added to.
    """
    count, size = parts.shape[0], parts.shape[-1]
    rows = parts.new_empty(layout.rows, count * heads * size)
    rows[layout.texts * layout.width :].zero_()
    call(
        "merge_bf16", inputs=parts, rows=rows,
        bias_gradient=None if linear is None else linear.bias_gradient, parts=count,
        texts=layout.texts, width=layout.width, heads=heads, features=size,
    )  # fmt: skip
    return rows


def add_product(linear: Linear, gradient: Tensor, inputs: Tensor) -> None:
    """Add to the gradient of a layer's weight, or to what is wanted of it.

    Args:
        linear: the layer; its gradient is in fp32.
        gradient: of its outputs, bf16, shape ``(rows, outputs)``.
        inputs: bf16, shape ``(rows, inputs)``.
    """
    for reduced in linear.reduced:
        reduced.add(gradient, inputs)
    if not linear.trained:
        return
    part = gradient.mT @ inputs
    call("add_bf16", part=part, total=linear.weight_gradient, count=part.numel())
