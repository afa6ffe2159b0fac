"""Row-sparse AdamW is dense AdamW."""

import numpy as np
import pytest
import torch

from fedseed.training.lean.adam import DenseAdam, RowAdam

ROWS, FEATURES, STEPS = 40, 6, 60
Gradients = list[tuple[torch.Tensor, torch.Tensor]]


def drawn_gradients(seed: int, scale: float) -> Gradients:
    """Some rows and their gradients for every step; most rows rest for many steps."""
    draws = np.random.default_rng(seed)
    return [
        (
            torch.from_numpy(np.sort(draws.choice(ROWS, 4, replace=False))),
            torch.from_numpy(scale * draws.standard_normal((4, FEATURES))).float(),
        )
        for _ in range(STEPS)
    ]


def schedule(peak: float) -> np.ndarray:
    steps = np.arange(STEPS)
    return peak * np.minimum((steps + 1) / 6, (STEPS - steps) / STEPS)


def dense(
    table: torch.Tensor,
    gradients: list[tuple[torch.Tensor, torch.Tensor]],
    peak: float,
    decay: float,
) -> torch.Tensor:
    """The same steps with torch's optimiser, on the whole table."""
    weights = table.clone().requires_grad_()
    optimiser = torch.optim.AdamW([weights], lr=peak, weight_decay=decay)
    for rate, (rows, part) in zip(schedule(peak), gradients, strict=True):
        optimiser.param_groups[0]["lr"] = float(rate)
        weights.grad = torch.zeros_like(weights)
        weights.grad[rows] = part
        optimiser.step()
    return weights.detach()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("scale", "share"), [(1.0, 1e-4), (1e-4, 1e-3), (1e-6, 5e-3)])
def test_equals_dense_adamw(decay: float, scale: float, share: float) -> None:
    """Only gradients as small as Adam's eps show a difference."""
    start = torch.randn(2 * ROWS, FEATURES, generator=torch.Generator().manual_seed(0))
    start[ROWS - 1] = 7.0  # some rows are never touched
    gradients = [drawn_gradients(number, scale) for number in range(2)]
    peaks, decays = [1e-2, 3e-3], [decay, decay / 2]
    table = start.clone()
    rates = np.stack([schedule(peak) for peak in peaks])
    ours = RowAdam(table, 2, rates, np.array(decays))
    for first, second in zip(*gradients, strict=True):
        taken = ours.take(torch.cat([first[0], second[0] + ROWS]))
        assert taken.shape == (8, FEATURES)
        ours.step(torch.cat([first[1], second[1]]))
    ours.finish()
    for number in range(2):
        part = slice(number * ROWS, (number + 1) * ROWS)
        wanted = dense(start[part], gradients[number], peaks[number], decays[number])
        moved = (wanted - start[part]).abs().max()
        assert (table[part] - wanted).abs().max() < share * moved


def test_a_row_is_up_to_date_when_it_is_taken() -> None:
    """After a rest of many steps, before the end."""
    start = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(0))
    rows, part = torch.tensor([3]), torch.ones(1, FEATURES)
    gradients = [(rows, part)] + [(torch.tensor([5]), part)] * (STEPS - 1)
    table = start.clone()
    ours = RowAdam(table, 1, schedule(1e-2)[None], np.zeros(1))
    for touched, gradient in gradients:
        ours.take(touched)
        ours.step(gradient)
    wanted = dense(start, gradients, 1e-2, 0.0)
    assert torch.allclose(ours.take(rows), wanted[rows], atol=1e-6)
    # What torch.optim.SparseAdam does, leaving the row alone, is far from it.
    assert (table[rows] - wanted[rows]).abs().max() > 1e-3


def test_the_dense_part_decays_matrices_only() -> None:
    weights, gradients = torch.ones(2, 4), torch.zeros(2, 4)
    ours = DenseAdam(weights, 3, np.array([[0.1], [0.2]]), np.array([0.5, 0.0]))
    ours.step(gradients)
    assert torch.allclose(weights, torch.tensor([[0.95, 0.95, 0.95, 1], [1, 1, 1, 1]]))
