"""Training with the compiled kernels learns what training without them does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import lean_trainer
from fedseed.training.kernels.adam import FusedDenseAdam, FusedRowAdam
from fedseed.training.lean.adam import DenseAdam, RowAdam
from fedseed.training.lean.stack import WeightStack
from fedseed.training.lean_trainer import Batch, LeanTrainer
from fedseed.training.precision_and_device import Compute
from tests.training.kernels.helpers import TYPES, drawn, needs_kernels


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


def trained(precision: str, lanes: int = 1) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights of ten steps with texts of all lengths, in chunks."""
    torch.set_num_threads(1)
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    recipe = Recipe(optimiser="adamw", learning_rate=1e-3, steps=10, weight_decay=0.01)
    compute = Compute("bf16" if precision == "bf16" else "fp32", lanes=lanes)
    trainer = LeanTrainer([model], [recipe], compute)
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
@pytest.mark.parametrize(
    ("precision", "gap", "apart"), [("fp32", 2e-5, 2e-6), ("bf16", 1e-3, 5e-5)]
)
def test_training_with_and_without(
    precision: str, gap: float, apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that did nothing would leave the weights more than three times as far apart."""
    losses, weights = trained(precision)
    monkeypatch.setattr(lean_trainer, "are_available", lambda: False)
    other_losses, other_weights = trained(precision)
    assert losses == pytest.approx(other_losses, abs=gap)
    assert losses != other_losses  # the kernels were used
    gaps = torch.cat([(weights[name] - other_weights[name]).reshape(-1) for name in weights])
    assert gaps.abs().mean() < apart


@pytest.mark.parametrize(("precision", "gap"), [("fp32", 2e-5), ("bf16", 1e-3)])
def test_chunks_side_by_side(precision: str, gap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same training but for rounding, and the same bits however many threads there are."""
    losses, weights = trained(precision, lanes=3)
    assert trained(precision, lanes=1)[0] == pytest.approx(losses, abs=gap)

    def one_after_another(work: Callable[[int], Any], lanes: int) -> list[Any]:
        return [work(lane) for lane in range(lanes)]

    monkeypatch.setattr(lean_trainer, "side_by_side", one_after_another)
    other_losses, other_weights = trained(precision, lanes=3)
    assert losses == other_losses
    assert all(torch.equal(part, other_weights[name]) for name, part in weights.items())


@needs_kernels
def test_a_loss_that_is_nan_stays_nan() -> None:
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    with torch.no_grad():
        model.get_parameter("bert.encoder.layer.0.intermediate.dense.weight")[0, 0] = torch.nan
    recipe = Recipe(optimiser="adamw", steps=2)
    for compute in (Compute("fp32"), Compute("bf16")):
        trainer = LeanTrainer([model], [recipe], compute)
        batch = Batch(np.ones((1, 2, 8), np.int64), np.full((1, 2), 8), np.zeros((1, 2), np.int64))
        assert np.isnan(trainer.losses(trainer.start(batch))).all()


@needs_kernels
def test_a_step_after_one_that_was_left_out() -> None:
    model = grow(encode(random_seed("bert-tiny", 2, 1, "bert")))
    trainer = LeanTrainer([model], [Recipe(optimiser="adamw", steps=4)], Compute("fp32"))
    ids, lengths = np.ones((1, 2, 8), np.int64), np.full((1, 2), 8)
    good, bad = np.full((1, 2, 2), 0.5), np.full((1, 2, 2), np.nan)
    batches = [Batch(ids, lengths, labels) for labels in (good, bad)]
    losses = [trainer.losses(trainer.start(batch))[0] for batch in batches]
    assert np.isnan(losses).tolist() == [False, True]
    for _ in range(2):
        assert np.isfinite(trainer.losses(trainer.start(Batch(ids, lengths, good)))).all()
