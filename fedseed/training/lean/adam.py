"""AdamW, dense and row-sparse, with a learning rate for each model of a stack."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedseed.recipe import Recipe
from fedseed.training.precision_and_device import on_device

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
Rates = NDArray[np.float64]
"""Learning rate of every model and step, shape ``(models, steps)``."""
Decay = NDArray[np.float64]
"""Weight decay of every model, shape ``(models,)``."""


def rates_of(recipes: Sequence[Recipe]) -> Rates:
    """The learning rates of some recipes of equally many steps."""
    return np.array([[recipe.rate(step) for step in range(recipe.steps)] for recipe in recipes])


def _update(
    weights: Tensor,
    gradients: Tensor,
    moments: tuple[Tensor, Tensor],
    rate: float | Tensor,
    step: int,
) -> None:
    """One step of Adam in place (Kingma and Ba 2015, algorithm 1).

    One rate for all takes the kernel below torch's optimisers, whose import takes a second.

    Args:
        weights: of shape ``(rows, size)``.
        gradients: of the same shape.
        moments: moving averages of the gradients and of their squares, of the same shape.
        rate: learning rate of all rows, or of each, shape ``(rows, 1)``.
        step: number of the step, from 1.
    """
    first, second = moments
    if isinstance(rate, float):
        count = torch.full((), float(step), device=weights.device)
        torch._fused_adamw_(
            [weights], [gradients], [first], [second], [], [count], lr=rate, beta1=BETA1,
            beta2=BETA2, eps=EPS, weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip
        return
    first.lerp_(gradients, 1 - BETA1)
    second.mul_(BETA2).addcmul_(gradients, gradients, value=1 - BETA2)
    # rate * m / (1 - b1^s) / (sqrt(v / (1 - b2^s)) + eps), with fewer passes over the weights
    correction = math.sqrt(1 - BETA2**step)
    below = second.sqrt().add_(EPS * correction)
    weights.addcdiv_(first * rate, below, value=-correction / (1 - BETA1**step))


def _rate(rates: NDArray[np.float64], like: Tensor) -> float | Tensor:
    """All models' learning rate as :func:`_update` takes it."""
    if (rates == rates[0]).all():
        return float(rates[0])
    return on_device(rates.astype(np.float32), like.device)[:, None]


class DenseAdam:
    """AdamW on one block of weights for each model; the matrices come first and decay."""

    def __init__(self, weights: Tensor, matrices: int, rates: Rates, decay: Decay) -> None:
        """Start.

        Args:
            weights: shape ``(models, size)``, changed in place.
            matrices: the weights before this place decay, those after it do not.
            rates: learning rates.
            decay: weight decay of every model, decoupled from the gradient.
        """
        self._weights = weights
        self._moments = torch.zeros_like(weights), torch.zeros_like(weights)
        self._matrices = matrices
        self._rates = rates
        kept = torch.from_numpy((1 - rates * decay[:, None]).astype(np.float32))
        self._kept = kept.to(weights.device) if decay.any() else None
        self._step = 0

    def step(self, gradients: Tensor) -> None:
        """Take one step."""
        if self._kept is not None:
            self._weights[:, : self._matrices] *= self._kept[:, self._step, None]
        rate = _rate(self._rates[:, self._step], self._weights)
        self._step += 1
        self._update(gradients, rate)

    def _update(self, gradients: Tensor, rate: float | Tensor) -> None:
        _update(self._weights, gradients, self._moments, rate, self._step)


class RowAdam:
    """AdamW on a table of which each step touches a few rows: the same result, less work.

    Dense AdamW goes on moving a row that a batch does not contain, along its decaying first
    moment. What it does so between two touches has a closed form: with ``r = b1 / sqrt(b2)``,
    a row last touched at step ``t`` with moments ``m`` and ``v`` has moved, by step ``s``, by
    ``m / sqrt(v)`` times ``sum over j in t+1..s of rate_j r^(j-t) sqrt(1 - b2^j) / (1 - b1^j)``.
    The sum does not depend on the row. It is kept for every ``t``, and a row is brought up to
    date when it is next used. Unlike ``torch.optim.SparseAdam``, which leaves a row and its
    moments alone between touches, this is dense AdamW up to rounding and to the small constant
    below the fraction, which is taken at its mean weight over the steps.
    """

    def __init__(self, table: Tensor, models: int, rates: Rates, decay: Decay) -> None:
        """Start.

        Args:
            table: shape ``(models * rows, features)``, changed in place.
            models: models in the table, one below the other.
            rates: learning rates.
            decay: weight decay of every model, decoupled from the gradient.
        """
        self._table = table
        self._rows_each = len(table) // models
        # numpy's zeros take no memory until they are written to: only touched rows cost any.
        self._first = _zeros(table)
        self._second = _zeros(table)
        self._touched = torch.zeros(len(table), dtype=torch.int64, device=table.device)
        self._rates = rates
        steps = rates.shape[1]
        # Share of a never touched weight that decay has left after each step.
        left = np.cumprod(1 - rates * decay[:, None], axis=1)
        self._left = np.concatenate([np.ones((models, 1)), left], axis=1)
        self._sums = np.zeros((models, steps + 1))
        self._eps_sums = np.zeros((models, steps + 1))
        self._decays = bool(decay.any())
        self._step = 0
        self._rows: Tensor = self._touched[:0]
        self._current: tuple[Tensor, Tensor, Tensor] = (table[:0],) * 3

    def take(self, rows: Tensor) -> Tensor:
        """Return some rows as they are after the last step, for the next one.

        Args:
            rows: distinct numbers of rows of the table.
        """
        self._rows = rows
        self._current = self._caught_up(rows)
        return self._current[0]

    def _caught_up(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights and moments of some rows as they are after the last step."""
        weights = self._table.index_select(0, rows)
        first = self._first.index_select(0, rows)
        second = self._second.index_select(0, rows)
        last = self._touched.index_select(0, rows)
        model = torch.div(rows, self._rows_each, rounding_mode="floor")
        columns = on_device(self._columns(), rows.device)
        left, moved, below, first_left, second_left = columns[:, model, last, None]
        if self._decays:
            weights *= left
        weights -= (first * moved).div_(second.sqrt().add_(below))
        return weights, first * first_left, second * second_left

    def _columns(self) -> NDArray[np.float32]:
        """What has become of a row since a step touched it last, for all steps up to now.

        Returns:
            Shape ``(5, models, steps + 1)``: the factor of its weights, that of its first moment
            which is taken from them, what is added to the root of its second moment below that,
            and the factors of both moments.
        """
        now = self._step
        left, sums = self._left[:, : now + 1], self._sums[:, : now + 1]
        # A row that was never touched has no moments; 0 / 0 must be 0.
        eps = EPS * self._eps_sums[:, : now + 1] / np.maximum(sums, 1e-300)
        idle = np.arange(now, -1, -1)
        columns = (
            left[:, -1:] / left, sums * left[:, -1:], np.maximum(eps, 1e-30),
            np.broadcast_to(BETA1**idle, sums.shape), np.broadcast_to(BETA2**idle, sums.shape),
        )  # fmt: skip
        return np.stack(columns).astype(np.float32)

    def step(self, gradients: Tensor) -> None:
        """Take one step with the gradients of the rows that were taken."""
        weights, first, second = self._current
        rates = self._rates[:, self._step]
        rate = _rate(rates, weights)
        model = torch.div(self._rows, self._rows_each, rounding_mode="floor")
        if self._decays:
            kept = self._left[:, self._step + 1] / self._left[:, self._step]
            weights *= on_device(kept.astype(np.float32), weights.device)[model, None]
        self._step += 1
        if not isinstance(rate, float):
            rate = rate.index_select(0, model)
        _update(weights, gradients, (first, second), rate, self._step)
        for block, part in zip((self._table, self._first, self._second), self._current):
            block.index_copy_(0, self._rows, part)
        self._touched.index_fill_(0, self._rows, self._step)
        self._remember(rates)

    def _remember(self, rate: NDArray[np.float64]) -> None:
        """Add this step to the sums of all earlier ones."""
        now = self._step
        start = max(0, now - _WINDOW)  # what is older has stopped moving
        idle = now - np.arange(start, now)
        correction = math.sqrt(1 - BETA2**now)
        weight = (rate / self._left[:, now] * correction / (1 - BETA1**now))[:, None]
        weight = weight * (BETA1 / math.sqrt(BETA2)) ** idle
        self._sums[:, start:now] += weight
        self._eps_sums[:, start:now] += weight * correction * BETA2 ** (-idle / 2)

    def finish(self) -> Tensor:
        """Bring every row up to date; return those that have changed, in order."""
        older = self._touched < self._step
        if not self._decays:  # then a row that was never touched is as it was
            older &= self._touched > 0
        at_once = _ROWS_AT_ONCE if self._table.device.type == "cpu" else _ROWS_AT_ONCE_CUDA
        for rows in torch.split(torch.nonzero(older).squeeze(1), at_once):
            self._table.index_copy_(0, rows, self._caught_up(rows)[0])
        return torch.nonzero(older | (self._touched > 0)).squeeze(1)


_WINDOW = 1000
"""Steps after which a row's first moment is nothing: 0.9005 to the 1000th is 1e-46."""
_ROWS_AT_ONCE, _ROWS_AT_ONCE_CUDA = 4096, 1 << 20


def _zeros(like: Tensor) -> Tensor:
    if like.device.type != "cpu":
        return torch.zeros_like(like)
    return torch.from_numpy(np.zeros(like.shape, dtype=np.float32))
