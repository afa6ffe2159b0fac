"""Kernels of our own for one model on a CPU: one pass over activations where torch makes several.

They lie between the matrix products of a step in bf16; in fp32 the kernels make these as well, see
blocked_layers.py. Embeddings and Adam serve both. Arrays are contiguous, rows end to end, and sums
over rows are made in fp32. Where the kernels are not available (see kernels.py), and for stacks,
GPUs and DP-SGD, torch's operators do the same work; tests/training holds both to Hugging Face's
results.

A kernel reads and writes where it is told to. What comes from data (rows of a table, widths,
lengths) is compared with the arrays' sizes first.
"""

import torch
from torch import Tensor

from fedseed.training.kernels import call
from fedseed.training.layers import Layout, Linear, Norm

Constants = tuple[float, ...]
"""Of a step of Adam: its rate over the first moment's correction, one over the root of the second
moment's, beta and 1 - beta of either, and eps."""


def check_rows(rows: Tensor, table: Tensor) -> None:
    """Raise an IndexError for rows that the table does not have."""
    if rows.numel():
        smallest, largest = (int(bound) for bound in rows.aminmax())
        if smallest < 0 or largest >= len(table):
            raise IndexError(f"rows {smallest} to {largest} of a table of {len(table)}")


def check_lengths(lengths: Tensor, width: int) -> None:
    """Raise an IndexError for a text of no length, or longer than the width."""
    smallest, largest = (int(bound) for bound in lengths.aminmax())
    if smallest < 0 or largest > width or width == 0:
        raise IndexError(f"a text of {smallest if smallest < 0 else largest} tokens in {width}")


def embed(
    norm: Norm,
    table: Tensor,
    places: Tensor,
    layout: Layout,
    positions: Tensor,
    segments: Tensor,
    precision: torch.dtype,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the layer norm of words, positions and first segment, and what the way back needs.

    Args:
        norm: the layer.
        table: word embeddings, shape ``(words, hidden)``.
        places: rows of the table, shape ``(texts, width)``, int64.
        layout: where the texts go; other rows are zero.
        positions: shape ``(positions, hidden)``.
        segments: shape ``(segments, hidden)``.
        precision: of what is returned.

    Raises:
        IndexError: a row that the table does not have, or more tokens than positions.
    """
    check_rows(places, table)
    if places.shape[-1] > len(positions):
        raise IndexError(f"a text of {places.shape[-1]} tokens for {len(positions)} positions")
    hidden = table.shape[-1]
    outputs = table.new_empty(layout.rows, hidden, dtype=precision)
    outputs[places.numel() :].zero_()
    normalised = table.new_empty(places.numel(), hidden, dtype=precision)
    scales = table.new_empty(places.numel())
    call(
        "embed", outputs, normalised, scales, table, places.contiguous(), positions, segments,
        norm.weight, norm.bias, *places.shape, hidden, norm.eps,
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
        "embed_backward", gradient, normalised, scales, places.contiguous(), norm.weight,
        norm.weight_gradient, norm.bias_gradient, total, by_place, *places.shape,
        total.shape[-1],
    )  # fmt: skip


def gelu(inputs: Tensor) -> Tensor:
    """Return the GELU of inputs in bf16; these become its slopes there."""
    outputs = torch.empty_like(inputs)
    call("gelu", inputs, outputs, inputs.numel())
    return outputs


def gelu_backward(gradient: Tensor, slopes: Tensor, linear: Linear) -> None:
    """Turn the gradient of the outputs into that of the inputs, in place.

    Args:
        gradient: shape ``(rows, features)``; overwritten.
        slopes: what :func:`gelu` has left of its inputs.
        linear: the layer that made these; its bias's gradient is added to.
    """
    call("gelu_backward", gradient, slopes, linear.bias_gradient, *gradient.shape)


def add_norm(norm: Norm, inputs: Tensor, residual: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the layer norm of a sum, and what :func:`norm_backward` needs.

    Args:
        norm: the layer.
        inputs: shape ``(rows, features)``; overwritten by what is normalised.
        residual: of their shape.
    """
    outputs = torch.empty_like(inputs)
    scales = inputs.new_empty(len(inputs), dtype=torch.float32)
    call(
        "add_norm", inputs, None, residual.contiguous(), norm.weight, norm.bias, outputs, scales,
        *inputs.shape, norm.eps,
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
    outputs = torch.empty_like(gradient)
    call(
        "norm_backward", gradient, residual, normalised, scales, norm.weight, outputs,
        norm.weight_gradient, norm.bias_gradient, linear.bias_gradient, *gradient.shape,
    )  # fmt: skip
    return outputs


def softmax(scores: Tensor, lengths: Tensor, heads: int) -> None:
    """Softmax in place over each text's own tokens; padding gets 0.

    Args:
        scores: shape ``(texts * heads, width, width)``.
        lengths: tokens of each text, int64.
        heads: number of heads.

    Raises:
        IndexError: a text longer than the width.
    """
    check_lengths(lengths, scores.shape[-1])
    width = scores.shape[-1]
    call("softmax", scores, lengths.contiguous(), len(lengths), heads * width, width)


def softmax_backward(gradient: Tensor, weights: Tensor) -> None:
    """Turn the gradient of a softmax into that of its inputs, in place."""
    width = gradient.shape[-1]
    call("softmax_backward", gradient, weights, gradient.numel() // width, width)


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
    call("split", rows, outputs, parts, layout.texts, layout.width, heads, size)
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
    bias = None if linear is None else linear.bias_gradient
    call("merge", parts, rows, bias, count, layout.texts, layout.width, heads, size)
    return rows


def accumulate(total: Tensor, left: Tensor, right: Tensor) -> None:
    """``total += left @ right`` for factors in bf16 and a total in fp32."""
    part = left @ right
    call("add", part, total, part.numel())


def adam(
    weights: Tensor,
    copy: Tensor | None,
    gradients: Tensor,
    moments: tuple[Tensor, Tensor],
    constants: Constants,
) -> None:
    """Take a step of Adam; the gradients become zero.

    Args:
        weights: changed, like all that follow.
        copy: of the weights in bf16, or None.
        gradients: of their shape.
        moments: moving averages of the gradients and of their squares.
        constants: of this step.
    """
    arrays = [weights, gradients, *moments]
    if copy is not None:
        arrays.insert(0, copy)
    call("adam", *arrays, weights.numel(), *constants)


def rows_caught_up(
    weights: Tensor,
    table: Tensor,
    first: Tensor,
    second: Tensor,
    touched: Tensor,
    rows: Tensor,
    columns: Tensor,
) -> None:
    """Fill ``weights`` with some rows of a table as they are after the last step of Adam.

    Args:
        weights: shape ``(rows, features)``.
        table: shape ``(words, features)``.
        first: first moments of the table.
        second: second moments.
        touched: step that touched each word last.
        rows: which.
        columns: see RowAdam; shape ``(5, 1, steps so far + 1)``.

    Raises:
        IndexError: a row that the table does not have.
    """
    check_rows(rows, table)
    call(
        "rows_caught_up", weights, table, first, second, touched, rows, columns,
        columns.shape[-1], *weights.shape,
    )  # fmt: skip


def rows_step(
    weights: Tensor,
    gradients: Tensor,
    table: Tensor,
    first: Tensor,
    second: Tensor,
    touched: Tensor,
    rows: Tensor,
    columns: Tensor,
    step: int,
    left: float,
    constants: Constants,
) -> None:
    """Take a step of Adam on some rows of a table.

    Args:
        weights: what :func:`rows_caught_up` has made of the rest.
        gradients: of the rows.
        table: changed, like the next three.
        first: first moments of the table.
        second: second moments.
        touched: step that touched each word last.
        rows: which.
        columns: as for :func:`rows_caught_up`.
        step: number of this step, from 1.
        left: of the weights after decay.
        constants: of this step.
    """
    call(
        "rows_step", weights, gradients, table, first, second, touched, rows, columns,
        columns.shape[-1], *weights.shape, step, left, *constants,
    )  # fmt: skip
