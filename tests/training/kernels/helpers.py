"""What the kernels' tests share: drawn arrays, layers without a model, how close is close."""

import pytest
import torch
from torch import Tensor

from fedseed.models.architecture import Architecture
from fedseed.models.bert import BertClassifier
from fedseed.training import kernels
from fedseed.training.lean.operations import Linear, Norm
from fedseed.training.lean.stack import WeightStack

needs_kernels = pytest.mark.skipif(not kernels.are_available(), reason="kernels not compiled")
TYPES = [torch.float32, torch.bfloat16]
CLOSE = {torch.float32: 2e-5, torch.bfloat16: 4e-2}
"""Of results up to a few units; in bf16 these are rounded to 8 bits."""


def drawn(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def linear(count: int) -> Linear:
    nothing = torch.zeros(0)
    return Linear(nothing, nothing, nothing, torch.zeros(1, count))


def norm(count: int, seed: int) -> Norm:
    weight, bias = 1 + drawn(seed, 1, count), drawn(seed + 1, 1, count)
    return Norm(weight, bias, torch.zeros(1, count), torch.zeros(1, count), 1e-5)


def close(result: Tensor, wanted: Tensor, dtype: torch.dtype, scale: float = 1.0) -> None:
    assert result.shape == wanted.shape
    gap = (result.double() - wanted.double()).abs().max()
    assert gap <= CLOSE[dtype] * scale * (1 + wanted.double().abs().max())


def small_stack() -> WeightStack:
    shape = Architecture("small", 1, 8, 2, 24, vocabulary=10, positions=4)
    return WeightStack([BertClassifier(shape)], shape, torch.device("cpu"), torch.float32)
