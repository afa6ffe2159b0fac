"""The compiled kernels do what torch's operators do."""

import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.matrix import UNKNOWN
from fedseed.models.architecture import Architecture
from fedseed.models.bert import BertClassifier
from fedseed.training import fused, kernels
from fedseed.training.blocked_layers import BlockedLayer, OneQueryLayer
from fedseed.training.fused_adam import FusedRowAdam
from fedseed.training.layers import Layout, Linear, Norm
from fedseed.training.lean_layers import LastLayer, Layer
from fedseed.training.stack import WeightStack

needs_kernels = pytest.mark.skipif(not kernels.are_available(), reason="kernels not compiled")
TYPES = [torch.float32, torch.bfloat16]
CLOSE = {torch.float32: 2e-5, torch.bfloat16: 4e-2}
"""Of results up to a few units; in bf16 these are rounded to 8 bits."""
sizes = st.integers(1, 9)
features = st.sampled_from([1, 7, 32, 128, 130])


def drawn(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def linear(count: int) -> Linear:
    nothing = torch.zeros(0)
    return Linear(nothing, nothing, nothing, torch.zeros(1, count))


def norm(count: int, seed: int) -> Norm:
    weight, bias = 1 + drawn(seed, 1, count), drawn(seed + 1, 1, count)
    return Norm(weight, bias, torch.zeros(1, count), torch.zeros(1, count), 1e-5)


def close(found: Tensor, wanted: Tensor, dtype: torch.dtype, scale: float = 1.0) -> None:
    assert found.shape == wanted.shape
    gap = (found.double() - wanted.double()).abs().max()
    assert gap <= CLOSE[dtype] * scale * (1 + wanted.double().abs().max())


def test_they_are_compiled_where_a_compiler_is() -> None:
    compiler = shutil.which((sysconfig.get_config_var("CC") or "none").split()[0])
    if compiler is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("no compiler or no glibc here")
    about = subprocess.run([compiler, "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"^gcc version (\d+)", about, re.MULTILINE)
    if version is None or int(version[1]) < 12:
        pytest.skip("not gcc, or an older one")
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("an older processor")
    assert kernels.are_available(), "remove .venv/.stamp and run make setup"


@needs_kernels
def test_libraries_that_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(kernels.__file__).parent
    own = folder / f"_kernels{EXTENSION_SUFFIXES[0]}"
    assert kernels.load(own, folder) is not None
    assert kernels.load(own, tmp_path) is not None  # installed without its sources
    assert kernels.load(tmp_path / "none.so", folder) is None
    (tmp_path / "other.so").write_bytes(b"not a library")
    assert kernels.load(tmp_path / "other.so", folder) is None
    copy = tmp_path / "fedseed" / "training"
    copy.mkdir(parents=True)
    for name in ("../../setup.py", *(path.name for path in folder.glob("*.[ch]"))):
        shutil.copy(folder / name, copy / name)
    assert kernels.load(own, copy) is not None
    (tmp_path / "setup.py").write_text("other_flags")
    assert kernels.load(own, copy) is None
    with monkeypatch.context() as patch:  # a library without matrix products
        patch.setattr(torch._C, "__file__", str(own))
        assert kernels.load(own, folder) is None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "byteorder", "big")
        assert kernels.load(own, folder) is None
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert kernels.load(own, folder) is None


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
        outputs = fused.gelu(inputs)
    else:
        outputs = torch.empty_like(inputs)
        kernels.call("gelu", inputs, bias, outputs, rows, count)
    close(outputs, wanted.detach(), dtype)
    fused.gelu_backward(gradient, inputs, layer)
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
    outputs = fused.gelu(inputs)
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
        outputs, kept = fused.add_norm(layer, inputs, residual)
    else:
        outputs, kept = torch.empty_like(inputs), (inputs, torch.empty(rows))
        arrays = (bias, residual, layer.weight, layer.bias, outputs, kept[1])
        kernels.call("add_norm", inputs, *arrays, rows, count, layer.eps)
    close(outputs, wanted.detach(), dtype)
    first, second = (drawn(seed + n, rows, count, dtype=dtype) for n in (4, 5))
    wanted.backward(first.double() + (second.double() if more else 0))
    found = fused.norm_backward(layer, first, kept, before, second if more else None)
    assert exact.grad is not None
    assert weight.grad is not None
    assert shift.grad is not None
    steep = 1 + float(kept[1].max())  # a row of nearly equal numbers
    close(found, exact.grad, dtype, steep)
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
    states, kept = fused.embed(layer, table, places, layout, positions, segments, dtype)
    assert states.dtype == dtype
    assert states.shape == (layout.rows, count)
    assert not states[texts * width :].any()
    close(states[: texts * width], wanted.detach(), dtype)
    gradient = drawn(4, layout.rows, count, dtype=dtype)
    wanted.backward(gradient[: texts * width].double())
    total, by_place = torch.zeros(5, count), torch.zeros(width, count)
    fused.embed_backward(layer, gradient, kept, places, total, by_place)
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
    texts, width, own = len(lengths), max(lengths), torch.tensor(lengths)
    scores = 20 * drawn(0, texts * heads, width, width, dtype=dtype)
    padding = (torch.arange(width) >= own[:, None]).repeat_interleave(heads, 0)[:, None]
    exact = scores.double().requires_grad_()
    wanted = exact.masked_fill(padding, -torch.inf).softmax(-1)
    fused.softmax(scores, own, heads)
    close(scores, wanted.detach(), dtype)
    assert not scores.masked_select(padding).any()
    gradient = drawn(1, *scores.shape, dtype=dtype)
    wanted.backward(gradient.double())
    fused.softmax_backward(gradient, scores)
    assert exact.grad is not None
    close(gradient, exact.grad, dtype, 4)


@needs_kernels
@pytest.mark.parametrize("width", [2, 34])
def test_small_shares_are_as_exact_as_large_ones(width: int) -> None:
    for score in torch.linspace(-80, 0, 200):
        rows = score.expand(1, width, width).clone()
        rows[..., 0] = 0
        wanted = rows.double().softmax(-1)
        fused.softmax(rows, torch.tensor([width]), 1)
        assert ((rows.double() - wanted) / wanted).abs().max() < 2e-6


@needs_kernels
def test_products_are_added_up_in_fp32() -> None:
    total, (left, right) = drawn(0, 8, 6), (drawn(1, 40, n, dtype=torch.bfloat16) for n in (8, 6))
    wanted = total.double() + left.double().mT @ right.double()
    fused.accumulate(total, left.mT, right)
    close(total, wanted, torch.bfloat16)


@needs_kernels
def test_nothing_is_read_or_written_beyond_an_array() -> None:
    table, layer, texts = (
        drawn(0, 5, 8),
        norm(8, 0),
        Layout.of(torch.tensor([3]), 3, False, torch.empty(0)),
    )
    for row in (-1, 5):
        places = torch.tensor([[0, row, 1]])
        with pytest.raises(IndexError, match="of a table of 5"):
            fused.embed(layer, table, places, texts, table, table, torch.float32)
        adam = FusedRowAdam(table, 1, np.ones((1, 2)), np.zeros(1))
        with pytest.raises(IndexError, match="of a table of 5"):
            adam.take(places[0])
    places = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(IndexError, match="3 tokens for 2 positions"):
        fused.embed(layer, table, places, texts, table[:2], table, torch.float32)
    with pytest.raises(IndexError, match="3 tokens in 2"):
        fused.softmax(drawn(1, 1, 2, 2), torch.tensor([3]), 1)
    for wrong, width in ((-1, 2), (0, 0)):
        with pytest.raises(IndexError, match=f"{wrong} tokens in {width}"):
            fused.check_lengths(torch.tensor([wrong]), width)
    stack, states = small_stack(), drawn(2, 2, 8)
    layout = Layout.of(torch.tensor([3]), 2, False, states)
    for kind in (BlockedLayer, OneQueryLayer):
        with pytest.raises(IndexError, match="3 tokens in 2"):
            kind(stack, "bert.encoder.layer.0", 2).forward(states, layout)


def small_stack() -> WeightStack:
    shape = Architecture("small", 1, 8, 2, 24, vocabulary=10, positions=4)
    return WeightStack([BertClassifier(shape)], shape, torch.device("cpu"), torch.float32)


@needs_kernels
@pytest.mark.parametrize("kinds", [(BlockedLayer, Layer), (OneQueryLayer, LastLayer)])
def test_products_in_kernels_are_those_of_torch(kinds: tuple[type[Layer], type[Layer]]) -> None:
    stack, states = small_stack(), drawn(0, 6, 8)
    layout = Layout.of(torch.tensor([3, 1]), 3, False, states)
    done: list[int] = []
    for kind in kinds:
        before = kernels.operations()
        with FlopCounterMode(display=False, custom_mapping=UNKNOWN) as counter:
            layer = kind(stack, "bert.encoder.layer.0", 2)
            layer.backward(torch.ones_like(layer.forward(states, layout)))
        done.append(counter.get_total_flops() + kernels.operations() - before)
    assert done[0] == done[1] > 0


@needs_kernels
@settings(max_examples=15, deadline=None)
@given(parts=st.integers(1, 3), texts=sizes, width=sizes, heads=sizes, size=sizes)
def test_split_and_merge(parts: int, texts: int, width: int, heads: int, size: int) -> None:
    layout = Layout.of(torch.full((texts,), width), width, True, torch.empty(0))
    rows = drawn(0, layout.rows, parts * heads * size, dtype=torch.bfloat16)
    rows[texts * width :] = 0
    cut = fused.split(rows, layout, parts, heads)
    assert torch.equal(cut, layout.by_head(rows, heads, parts).reshape(cut.shape))
    layer = linear(rows.shape[1])
    assert torch.equal(fused.merge(cut, layout, heads, layer), rows)
    close(layer.bias_gradient, rows.double().sum(0, keepdim=True), torch.float32, 10)
    assert torch.equal(fused.merge(cut, layout, heads), rows)


@needs_kernels
@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("lengths", [[1], [60, 60, 41, 9], [7] * 20])
def test_the_last_layer_after_layers_in_bf16(lengths: list[int], few: bool) -> None:
    """Its own work is in fp32: given the same states, it is the layer of torch's operators."""
    stack, width = small_stack(), lengths[0]
    generator = torch.Generator().manual_seed(0)
    stack.weights.copy_(0.3 * torch.randn(stack.weights.shape, generator=generator))
    layout = Layout.of(torch.tensor(lengths), width, few, torch.empty(0))
    states = drawn(1, layout.rows, 8, dtype=torch.bfloat16)
    states[len(lengths) * width :] = 0
    above = drawn(2, layout.first_rows, 8)
    above[len(lengths) :] = 0
    found = []
    for kind, own in ((OneQueryLayer, states), (LastLayer, states.float())):
        stack.gradients.zero_()
        layer = kind(stack, "bert.encoder.layer.0", 2)
        outputs = layer.forward(own, layout)[: len(lengths)]
        found.append((outputs, layer.backward(above), stack.gradients.clone()))
    close(found[0][0], found[1][0], torch.float32)
    close(found[0][1], found[1][1], torch.bfloat16, 0.5)
    close(found[0][2], found[1][2], torch.float32)
    assert found[0][1].dtype == torch.bfloat16
    assert found[1][2].any()
