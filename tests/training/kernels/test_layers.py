"""Layers as a whole, and what no kernel may do."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.matrix import UNKNOWN
from fedseed.training import kernels
from fedseed.training.kernels import operations
from fedseed.training.kernels.adam import FusedRowAdam
from fedseed.training.kernels.layers_in_blocks import BlockedLayer, OneQueryLayer
from fedseed.training.lean.layers import LastLayer, Layer
from fedseed.training.lean.layout import Layout
from tests.training.kernels.helpers import close, drawn, needs_kernels, norm, small_stack


@needs_kernels
def test_nothing_is_read_or_written_beyond_an_array() -> None:
    table, layer = drawn(0, 5, 8), norm(8, 0)
    texts = Layout.of(torch.tensor([3]), 3, False, torch.empty(0))
    for row in (-1, 5):
        places = torch.tensor([[0, row, 1]])
        with pytest.raises(IndexError, match="of a table of 5"):
            operations.embed(layer, table, places, texts, table, table, torch.float32)
        adam = FusedRowAdam(table, 1, np.ones((1, 2)), np.zeros(1))
        with pytest.raises(IndexError, match="of a table of 5"):
            adam.take(places[0])
    places = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(IndexError, match="3 tokens for 2 positions"):
        operations.embed(layer, table, places, texts, table[:2], table, torch.float32)
    for wrong, width in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(IndexError, match=f"{wrong} tokens in {width}"):
            Layout.of(torch.tensor([wrong]), width, False, table)
    with pytest.raises(ValueError, match="scores: 9 numbers are wanted"):
        operations.softmax(drawn(1, 1, 2, 2), texts, 1)
    stack, states = small_stack(), drawn(2, 2, 8)
    for kind in (BlockedLayer, OneQueryLayer):
        with pytest.raises(ValueError, match="states: 24 numbers are wanted"):
            kind(stack, "bert.encoder.layer.0", 2).forward(states, texts)


@needs_kernels
@pytest.mark.parametrize("kinds", [(BlockedLayer, Layer), (OneQueryLayer, LastLayer)])
def test_products_in_kernels_are_those_of_torch(kinds: tuple[type[Layer], type[Layer]]) -> None:
    stack, states = small_stack(), drawn(0, 6, 8)
    layout = Layout.of(torch.tensor([3, 1]), 3, False, states)
    done: list[int] = []
    for kind in kinds:
        before = kernels.product_flops()
        with FlopCounterMode(display=False, custom_mapping=UNKNOWN) as counter:
            layer = kind(stack, "bert.encoder.layer.0", 2)
            layer.backward(torch.ones_like(layer.forward(states, layout)))
        done.append(counter.get_total_flops() + kernels.product_flops() - before)
    assert done[0] == done[1] > 0


@needs_kernels
@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("lengths", [[1], [60, 60, 41, 9], [7] * 20])
def test_the_last_layer_after_layers_in_bf16(lengths: list[int], few: bool) -> None:
    """What it computes is in fp32: given the same states, it is the layer of torch's operators."""
    stack, width = small_stack(), lengths[0]
    generator = torch.Generator().manual_seed(0)
    stack.weights.copy_(0.3 * torch.randn(stack.weights.shape, generator=generator))
    layout = Layout.of(torch.tensor(lengths), width, few, torch.empty(0))
    states = drawn(1, layout.rows, 8, dtype=torch.bfloat16)
    states[len(lengths) * width :] = 0
    above = drawn(2, layout.first_rows, 8)
    above[len(lengths) :] = 0
    results = []
    for kind, inputs in ((OneQueryLayer, states), (LastLayer, states.float())):
        stack.gradients.zero_()
        layer = kind(stack, "bert.encoder.layer.0", 2)
        outputs = layer.forward(inputs, layout)[: len(lengths)]
        results.append((outputs, layer.backward(above), stack.gradients.clone()))
    ours, theirs = results
    close(ours[0], theirs[0], torch.float32)
    close(ours[1], theirs[1], torch.bfloat16, 0.5)
    close(ours[2], theirs[2], torch.float32)
    assert ours[1].dtype == torch.bfloat16
    assert theirs[2].any()
