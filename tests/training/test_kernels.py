"""The compiled kernels do what torch's operators do."""

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from fedseed.growing import grow
from fedseed.recipe import Recipe
from fedseed.seeds.codec import encode
from fedseed.seeds.random import random_seed
from fedseed.training import fused, kernels, lean_trainer
from fedseed.training.adam import DenseAdam, RowAdam
from fedseed.training.compute import Compute
from fedseed.training.fused_adam import FusedDenseAdam, FusedRowAdam
from fedseed.training.layers import Layout, Linear, Norm
from fedseed.training.lean_trainer import Batch, LeanTrainer
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
    compiler = shutil.which("gcc")
    if compiler is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("no gcc and glibc here")
    version = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=True)
    if int(version.stdout.partition(".")[0]) < 12:
        pytest.skip("an older gcc")
    assert kernels.are_available(), "run make setup again"


@needs_kernels
def test_libraries_that_are_not_taken(tmp_path: Path) -> None:
    (own,) = Path(kernels.__file__).parent.glob("_kernels*.so")
    folder = own.parent
    assert kernels.load(own, folder) is not None
    assert kernels.load(own, tmp_path) is not None  # installed without its sources
    assert kernels.load(tmp_path / "none.so", folder) is None
    (tmp_path / "other.so").write_bytes(b"not a library")
    assert kernels.load(tmp_path / "other.so", folder) is None
    for name in ("kernels.c", "kernels_by_type.h"):
        shutil.copy(folder / name, tmp_path)
    assert kernels.load(own, tmp_path) is not None
    (tmp_path / "kernels.c").write_text("int changed;")
    assert kernels.load(own, tmp_path) is None


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
    close(fused.gelu(inputs, bias), wanted.detach(), dtype)
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
    outputs = fused.gelu(inputs, None)
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
    outputs, kept = fused.add_norm(layer, inputs, bias, residual)
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
    layout = Layout.of(torch.full((texts,), width), width, few)
    exact = [part.double().requires_grad_() for part in (table, positions)]
    words = exact[0][places] + exact[1][:width] + segments[0]
    wanted = functional.layer_norm(
        words, [count], layer.weight[0].double(), layer.bias[0].double(), layer.eps
    ).view(texts * width, count)
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
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(parts=st.integers(1, 3), texts=sizes, width=sizes, heads=sizes, size=sizes)
def test_split_and_merge(
    dtype: torch.dtype, parts: int, texts: int, width: int, heads: int, size: int
) -> None:
    layout = Layout.of(torch.full((texts,), width), width, True)
    rows = drawn(0, layout.rows, parts * heads * size, dtype=dtype)
    rows[texts * width :] = 0
    cut = fused.split(rows, None, layout, parts, heads)
    assert torch.equal(cut, layout.by_head(rows, heads, parts).reshape(cut.shape))
    layer = linear(rows.shape[1])
    assert torch.equal(fused.merge(cut, layout, heads, layer), rows)
    close(layer.bias_gradient, rows.double().sum(0, keepdim=True), torch.float32, 10)
    assert torch.equal(fused.merge(cut, layout, heads), rows)
    bias = drawn(1, 1, rows.shape[1])
    shifted = (rows.float() + bias).to(dtype)
    cut = fused.split(rows, bias, layout, parts, heads)
    assert torch.equal(cut, layout.by_head(shifted, heads, parts).reshape(cut.shape))


@needs_kernels
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_dense_adam(dtype: torch.dtype, decay: float) -> None:
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    stacks = [WeightStack([model], model.shape, torch.device("cpu"), dtype) for _ in range(2)]
    rates, decays = np.linspace(1e-2, 1e-3, 30)[None], np.array([decay])
    ours = FusedDenseAdam(stacks[0], rates, decays)
    theirs = DenseAdam(stacks[1].weights, stacks[1].matrices, rates, decays)
    start = stacks[0].weights.clone()
    for number in range(30):
        gradients = drawn(number, *start.shape)
        copy = gradients.clone()
        ours.step(copy)
        theirs.step(gradients)
        assert not copy.any()
    moved = (stacks[1].weights - start).abs().max()
    assert (stacks[0].weights - stacks[1].weights).abs().max() < 5e-6 * moved
    assert torch.equal(stacks[0].computed, stacks[0].weights.to(dtype))


@needs_kernels
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_row_adam(decay: float) -> None:
    draws, rates, decays = np.random.default_rng(0), np.full((1, 40), 1e-2), np.array([decay])
    start = drawn(0, 30, 6)
    tables = [start.clone(), start.clone()]
    pair = FusedRowAdam(tables[0], 1, rates, decays), RowAdam(tables[1], 1, rates, decays)
    for number in range(40):
        rows = torch.from_numpy(np.sort(draws.choice(29, 4, replace=False)))
        ours, theirs = (adam.take(rows) for adam in pair)
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        for adam in pair:
            adam.step(drawn(number, 4, 6))
    assert torch.equal(*(adam.finish() for adam in pair))
    assert (tables[0] - tables[1]).abs().max() < 1e-5 * (tables[1] - start).abs().max()


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(lean_trainer, "are_available", lambda: False)
        yield


def trained(precision: str) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights of ten steps with texts of all lengths, in chunks."""
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    recipe = Recipe(optimiser="adamw", learning_rate=1e-3, steps=10, weight_decay=0.01)
    trainer = LeanTrainer([model], [recipe], Compute("bf16" if precision == "bf16" else "fp32"))
    draws = np.random.default_rng(0)
    losses = []
    for _ in range(10):
        lengths = np.sort(draws.integers(2, 120, 40))[::-1]
        ids = draws.integers(1, 30_000, (1, 40, 120)) * (np.arange(120) < lengths[:, None])
        batch = Batch(ids, lengths[None].copy(), draws.integers(0, 2, (1, 40)))
        losses += trainer.losses(trainer.start(batch))
    trainer.finish()
    return losses, dict(model.state_dict())


@needs_kernels
@pytest.mark.parametrize(("precision", "gap"), [("fp32", 2e-5), ("bf16", 2e-2)])
def test_training_with_and_without(
    precision: str, gap: float, request: pytest.FixtureRequest
) -> None:
    losses, weights = trained(precision)
    request.getfixturevalue("without_kernels")
    other_losses, other_weights = trained(precision)
    assert losses == pytest.approx(other_losses, abs=gap)
    assert losses != other_losses  # the kernels were used
    apart = torch.cat([(weights[name] - other_weights[name]).reshape(-1) for name in weights])
    assert apart.abs().mean() < gap / 10


@needs_kernels
def test_a_loss_that_is_no_number_stays_one() -> None:
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    with torch.no_grad():
        model.get_parameter("bert.encoder.layer.0.intermediate.dense.weight")[0, 0] = torch.nan
    recipe = Recipe(optimiser="adamw", steps=2)
    for compute in (Compute("fp32"), Compute("bf16")):
        trainer = LeanTrainer([model], [recipe], compute)
        batch = Batch(np.ones((1, 2, 8), np.int64), np.full((1, 2), 8), np.zeros((1, 2), np.int64))
        assert np.isnan(trainer.losses(trainer.start(batch))).all()
