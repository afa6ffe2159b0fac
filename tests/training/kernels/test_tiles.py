"""Attention on matrix tiles does what torch's operators do in fp64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fedseed.training import kernels
from fedseed.training.kernels import operations
from fedseed.training.lean.layout import Layout
from tests.training.kernels.helpers import close, drawn, linear

pytestmark = pytest.mark.skipif(
    not kernels.has_tiles(), reason="no matrix tiles, or kernels not compiled"
)
BF16 = torch.bfloat16


def exact_attention(projected: Tensor, lengths: list[int], heads: int) -> Tensor:
    """By torch in the given precision, shape ``(texts, width, hidden)``; padding is zero."""
    width, all_features = projected.shape[1:]
    outputs = []
    for text, length in enumerate(lengths):
        parts = (
            projected[text, :length]
            .view(length, 3, heads, all_features // 3 // heads)
            .permute(1, 2, 0, 3)
        )
        query, key, value = parts
        shares = (query @ key.mT * query.shape[-1] ** -0.5).softmax(-1)
        mixed = (shares @ value).transpose(0, 1).reshape(length, all_features // 3)
        outputs.append(torch.nn.functional.pad(mixed, (0, 0, 0, width - length)))
    return torch.stack(outputs)


@settings(max_examples=40, deadline=None)
@given(
    heads=st.integers(1, 3), size=st.sampled_from([32, 64, 96]), width=st.integers(1, 100),
    shorter=st.lists(st.integers(0, 99), min_size=1, max_size=3), large=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_attention(
    heads: int, size: int, width: int, shorter: list[int], large: bool, seed: int
) -> None:
    lengths = [width, *(min(width, length) for length in shorter)]
    texts, hidden = len(lengths), heads * size
    projected = drawn(seed, texts, width, 3 * hidden, dtype=BF16) * (3 if large else 1)
    layout = Layout.of(torch.tensor(lengths), width, False, projected)
    exact = projected.double().requires_grad_()
    wanted = exact_attention(exact, lengths, heads)
    mixed, logs = operations.attention(projected.view(-1, 3 * hidden), layout, heads)
    close(mixed.view(texts, width, hidden), wanted.detach(), BF16)
    gradient = drawn(seed + 1, texts, width, hidden, dtype=BF16)
    for text, length in enumerate(lengths):
        gradient[text, length:] = 0
    wanted.backward(gradient.double())
    layer = linear(3 * hidden)
    kept = projected.view(-1, 3 * hidden), mixed, logs
    outputs = operations.attention_backward(gradient.view(-1, hidden), kept, layout, heads, layer)
    assert exact.grad is not None
    close(outputs.view(projected.shape), exact.grad, BF16)
    sums = exact.grad.sum((0, 1))[None]
    close(layer.bias_gradient, sums, BF16, sum(lengths) ** 0.5)


def test_nan_stays() -> None:
    projected = drawn(0, 40, 96, dtype=BF16)
    projected[7, 3] = torch.nan
    layout = Layout.of(torch.tensor([40]), 40, False, projected)
    mixed, _ = operations.attention(projected, layout, 1)
    assert mixed[7].isnan().all()


def test_other_products_still_have_their_tiles() -> None:
    left, right = drawn(1, 300, 384, dtype=BF16), drawn(2, 384, 500, dtype=BF16)
    before = left @ right
    projected = drawn(3, 64, 96, dtype=BF16)
    layout = Layout.of(torch.tensor([64]), 64, False, projected)
    operations.attention(projected, layout, 1)
    assert torch.equal(left @ right, before)
