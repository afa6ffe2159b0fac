"""What the benchmarks count."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.matrix import UNKNOWN
from fedseed.training.lean.operations import Linear


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_product_of_a_linear_layer_is_counted(dtype: torch.dtype) -> None:
    x, gradient, weight = torch.zeros(24, 16), torch.zeros(24, 8), torch.zeros(8, 16)
    x, gradient, weight, bias = (t.to(dtype) for t in (x, gradient, weight, torch.zeros(1, 8)))
    layer = Linear(weight, bias, torch.zeros_like(weight), torch.zeros_like(bias))
    with FlopCounterMode(display=False, custom_mapping=UNKNOWN) as counter:
        layer.forward(x)
        layer.backward(gradient, x)
        layer.inputs_gradient(gradient)
        layer.inputs_gradient(gradient, x)
    assert counter.get_total_flops() == 4 * 2 * 24 * 16 * 8
