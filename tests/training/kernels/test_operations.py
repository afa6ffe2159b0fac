"""The kernels between products, and products' sums, do what torch's operators do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fedseed.training.kernels import operations
from fedseed.training.kernels.calls import call
from fedseed.training.lean.layout import Layout
from fedseed.training.lean.operations import Linear
from tests.training.kernels.helpers import TYPES, close, drawn, linear, needs_kernels, norm

sizes = st.integers(1, 9)
features = st.sampled_from([1, 7, 32, 128, 130])


@needs_kernels
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 150), count=features, seed=st.integers(0, 99))
def test_gelu(dtype: torch.dtype, rows: int, count: int, seed: int) -> None:
    inputs, gradient = drawn(seed, rows, count, dtype=dtype), drawn(1, rows, count, dtype=dtype)
    bias = drawn(2, 1, count) if dtype == torch.float32 else None
    exact = (inputs.double() + (0 if bias is None else bias)).requires_grad_()
    wanted = functional.gelu(exact)
    wanted.backward(gradient.double())
    layer = linear(count)
    if bias is None:
        outputs = operations.gelu(inputs)
    else:
        outputs = torch.empty_like(inputs)
        call("gelu_f32", inputs=inputs, bias=bias, outputs=outputs, rows=rows, features=count)
    close(outputs, wanted.detach(), dtype)
    operations.gelu_backward(gradient, inputs, layer)
    assert exact.grad is not None
    close(gradient, exact.grad, dtype)
    close(layer.bias_gradient, exact.grad.sum(0, keepdim=True), dtype, rows**0.5)


@needs_kernels
def test_gelu_of_every_number_in_bf16() -> None:
    inputs = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.bfloat16)[None]
    finite, nothing = inputs.isfinite(), inputs.isnan()
    x = inputs[finite].double()
    below = 0.5 * torch.special.erfc(-x * 0.5**0.5)  # torch's own GELU is not exact far below 0
    slopes = below + x * torch.exp(-0.5 * x * x) / (2 * torch.pi) ** 0.5
    outputs = operations.gelu(inputs)
    assert torch.equal(outputs[finite], (x * below).float().to(torch.bfloat16))
    assert torch.equal(inputs[finite], slopes.float().to(torch.bfloat16))
    assert torch.equal(outputs.isnan(), nothing)
    assert torch.equal(inputs.isnan(), nothing)


@needs_kernels
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 150), count=features, seed=st.integers(0, 99), more=st.booleans())
def test_norm_of_a_sum(dtype: torch.dtype, rows: int, count: int, seed: int, more: bool) -> None:
    layer, before = norm(count, seed), linear(count)
    inputs, residual = (drawn(seed + n, rows, count, dtype=dtype) for n in (1, 2))
    bias = drawn(seed + 3, 1, count) if more else None
    exact = (inputs.double() + residual + (0 if bias is None else bias)).requires_grad_()
    weight, shift = (part.double().requires_grad_() for part in (layer.weight, layer.bias))
    wanted = functional.layer_norm(exact, [count], weight[0], shift[0], layer.eps)
    if bias is None:
        outputs, kept = operations.add_norm(layer, inputs, residual)
    else:
        outputs, kept = torch.empty_like(inputs), (inputs, torch.empty(rows))
        call(
            "add_norm", inputs=inputs, bias=bias, residual=residual, weight=layer.weight,
            shift=layer.bias, outputs=outputs, scales=kept[1], rows=rows, features=count,
            eps=layer.eps,
        )  # fmt: skip
    close(outputs, wanted.detach(), dtype)
    first, second = (drawn(seed + n, rows, count, dtype=dtype) for n in (4, 5))
    wanted.backward(first.double() + (second.double() if more else 0))
    of_sum = operations.norm_backward(layer, first, kept, before, second if more else None)
    assert exact.grad is not None
    assert weight.grad is not None
    assert shift.grad is not None
    steep = 1 + float(kept[1].max())  # a row of nearly equal numbers
    close(of_sum, exact.grad, dtype, steep)
    close(layer.weight_gradient, weight.grad, dtype, rows**0.5)
    close(layer.bias_gradient, shift.grad, dtype, rows**0.5)
    close(before.bias_gradient, exact.grad.sum(0, keepdim=True), dtype, steep * rows**0.5)


@needs_kernels
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(texts=sizes, width=sizes, count=features, few=st.booleans())
def test_embeddings(dtype: torch.dtype, texts: int, width: int, count: int, few: bool) -> None:
    layer, table, positions = norm(count, 3), drawn(0, 5, count), drawn(1, 9, count)
    segments = drawn(2, 2, count)
    places = torch.randint(0, 5, (texts, width), generator=torch.Generator().manual_seed(0))
    layout = Layout.of(torch.full((texts,), width), width, few, torch.empty(0))
    exact = [part.double().requires_grad_() for part in (table, positions)]
    words = exact[0][places] + exact[1][:width] + segments[0]
    weight, shift = (part.double().requires_grad_() for part in (layer.weight, layer.bias))
    wanted = functional.layer_norm(words, [count], weight[0], shift[0], layer.eps)
    wanted = wanted.view(texts * width, count)
    states, kept = operations.embed(layer, table, places, layout, positions, segments, dtype)
    assert states.dtype == dtype
    assert states.shape == (layout.rows, count)
    assert not states[texts * width :].any()
    close(states[: texts * width], wanted.detach(), dtype)
    gradient = drawn(4, layout.rows, count, dtype=dtype)
    wanted.backward(gradient[: texts * width].double())
    total, by_place = torch.zeros(5, count), torch.zeros(width, count)
    operations.embed_backward(layer, gradient, kept, places, total, by_place)
    steep = 1 + float(kept[1].max())
    assert exact[0].grad is not None
    assert exact[1].grad is not None
    assert weight.grad is not None
    assert shift.grad is not None
    close(layer.weight_gradient, weight.grad, dtype, (texts * width) ** 0.5)
    close(layer.bias_gradient, shift.grad, dtype, (texts * width) ** 0.5)
    close(total, exact[0].grad, dtype, steep * texts)
    close(by_place, exact[1].grad[:width], dtype, steep * texts)


@needs_kernels
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), heads=st.integers(1, 3))
def test_softmax_over_a_texts_own_tokens(
    dtype: torch.dtype, lengths: list[int], heads: int
) -> None:
    texts, width = len(lengths), max(lengths)
    layout = Layout.of(torch.tensor(lengths), width, False, torch.empty(0))
    scores = 20 * drawn(0, texts * heads, width, width, dtype=dtype)
    padding = (torch.arange(width) >= layout.lengths[:, None]).repeat_interleave(heads, 0)[:, None]
    exact = scores.double().requires_grad_()
    wanted = exact.masked_fill(padding, -torch.inf).softmax(-1)
    operations.softmax(scores, layout, heads)
    close(scores, wanted.detach(), dtype)
    assert not scores.masked_select(padding).any()
    gradient = drawn(1, *scores.shape, dtype=dtype)
    wanted.backward(gradient.double())
    operations.softmax_backward(gradient, scores)
    assert exact.grad is not None
    close(gradient, exact.grad, dtype, 4)


@needs_kernels
@pytest.mark.parametrize("width", [2, 34])
def test_small_shares_are_as_exact_as_large_ones(width: int) -> None:
    layout = Layout.of(torch.tensor([width]), width, False, torch.empty(0))
    for score in torch.linspace(-80, 0, 200):
        rows = score.expand(1, width, width).clone()
        rows[..., 0] = 0
        wanted = rows.double().softmax(-1)
        operations.softmax(rows, layout, 1)
        assert ((rows.double() - wanted) / wanted).abs().max() < 2e-6


@needs_kernels
def test_products_are_added_up_in_fp32() -> None:
    total, (left, right) = drawn(0, 8, 6), (drawn(1, 40, n, dtype=torch.bfloat16) for n in (8, 6))
    wanted = total.double() + left.double().mT @ right.double()
    nothing, frozen = torch.zeros(0), total.clone()
    operations.add_product(Linear(nothing, nothing, total, nothing), left, right)
    close(total, wanted, torch.bfloat16)
    other = Linear(nothing, nothing, frozen.clone(), nothing, trained=False)
    operations.add_product(other, left, right)
    assert torch.equal(other.weight_gradient, frozen)


@needs_kernels
@settings(max_examples=15, deadline=None)
@given(parts=st.integers(1, 3), texts=sizes, width=sizes, heads=sizes, size=sizes)
def test_split_and_merge(parts: int, texts: int, width: int, heads: int, size: int) -> None:
    layout = Layout.of(torch.full((texts,), width), width, True, torch.empty(0))
    rows = drawn(0, layout.rows, parts * heads * size, dtype=torch.bfloat16)
    rows[texts * width :] = 0
    cut = operations.split(rows, layout, parts, heads)
    assert torch.equal(cut, layout.by_head(rows, heads, parts).reshape(cut.shape))
    layer = linear(rows.shape[1])
    assert torch.equal(operations.merge(cut, layout, heads, layer), rows)
    close(layer.bias_gradient, rows.double().sum(0, keepdim=True), torch.float32, 10)
    assert torch.equal(operations.merge(cut, layout, heads), rows)
