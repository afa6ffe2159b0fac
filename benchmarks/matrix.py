"""How much of the processor's matrix-product rate a training step reaches, on one thread.

The rate is that of a layer's products over a batch's rows, through torch, each alone and repeated;
the work of a step is counted while it runs. Rate and step are measured in turns.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.workload import BATCH, LENGTH, RATE, Workload, emit, open_shards
from fedseed.federation.allocator import keep_memory
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import kernels
from fedseed.training.batches import batches, longest_first
from fedseed.training.lean_trainer import LeanTrainer, is_lean
from fedseed.training.precision_and_device import Compute


def _product(_total: list[int], left: list[int], right: list[int], **_rest: object) -> int:
    """Operations of a product that is added to a total, from the shapes."""
    return 2 * math.prod(left) * right[-1]


def _linear(inputs: list[int], weight: list[int], *_others: object, **_rest: object) -> int:
    """Operations of a linear layer, whose weights have one row for each output."""
    return 2 * math.prod(inputs) * weight[0]


UNKNOWN = {
    torch.ops.aten.addmm_: _product,
    torch.ops.aten.baddbmm_: _product,
    torch.ops.mkldnn._linear_pointwise: _linear,
}
"""Products that the counter does not know by itself."""


def timed(work: Callable[[], object], times: int) -> float:
    """Median seconds of one call."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def matrix_rate(dtype: torch.dtype, tokens: int, hidden: int, wide: int) -> float:
    """Floating-point operations a second in the products of a layer, forward and backward.

    Args:
        dtype: of the factors.
        tokens: rows of the activations.
        hidden: features of the hidden state.
        wide: features of the feed-forward network.
    """
    operations = seconds = 0.0
    for inputs, outputs in (
        (hidden, 3 * hidden), (hidden, hidden), (hidden, wide), (wide, hidden),
    ):  # fmt: skip
        x, gradient = torch.randn(tokens, inputs).to(dtype), torch.randn(tokens, outputs).to(dtype)
        weight = torch.randn(outputs, inputs).to(dtype)
        for product in (
            lambda x=x, w=weight: x @ w.T,
            lambda g=gradient, w=weight: g @ w,
            lambda g=gradient, x=x: g.T @ x,
        ):
            seconds += timed(product, 7)
            operations += 2 * tokens * inputs * outputs
    return operations / seconds


def operations_of_kernels() -> int:
    """Operations of the products that do not go through torch."""
    return kernels.product_flops() if kernels.are_available() else 0


def count_operations(step: Callable[[], object]) -> float:
    """Floating-point operations of the products of one call."""
    before = operations_of_kernels()
    with FlopCounterMode(display=False, custom_mapping=UNKNOWN) as counter:
        step()
    return float(counter.get_total_flops() + operations_of_kernels() - before)


def main() -> None:
    """Measure; arguments: fp32 or bf16, repetitions."""
    precision, repetitions = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    keep_memory()  # as a worker does
    federated = open_shards(Workload())
    recipe = Recipe(optimiser="adamw", learning_rate=RATE, steps=10_000)
    compute = Compute("bf16" if precision == "bf16" else "fp32")
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    assert is_lean(model, recipe)
    trainer = LeanTrainer([model], [recipe], compute)
    order = batches(federated.shard(0).whole(), BATCH, np.random.default_rng(0))

    def step() -> None:
        rows = next(order)
        rows = rows[longest_first(federated.dataset.table.lengths(rows, LENGTH))]
        trainer.step([rows], federated.dataset.table)

    step()
    operations = statistics.median(count_operations(step) for _ in range(5))
    for _ in range(repetitions):
        rate = matrix_rate(compute.dtype, BATCH * LENGTH, 128, 512)
        seconds = timed(step, 10)
        emit(
            "share", precision=precision, rate=rate, step_seconds=seconds, operations=operations,
            share=operations / seconds / rate,
        )  # fmt: skip


if __name__ == "__main__":
    main()
