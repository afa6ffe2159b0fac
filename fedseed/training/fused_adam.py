"""AdamW of one model on a CPU with the kernels of fused.py, dense and row-sparse."""

import math

import torch
from torch import Tensor

from fedseed.training import fused
from fedseed.training.adam import BETA1, BETA2, EPS, Decay, DenseAdam, Rates, RowAdam
from fedseed.training.stack import WeightStack


class FusedDenseAdam(DenseAdam):
    """See DenseAdam; a step leaves the stack's gradients zero and its copy up to date."""

    def __init__(self, stack: WeightStack, rates: Rates, decay: Decay) -> None:
        """Start with a stack of one model; see DenseAdam."""
        super().__init__(stack.weights, stack.matrices, rates, decay)
        self._copy = None if stack.computed is stack.weights else stack.computed

    def _update(self, gradients: Tensor, rate: float | Tensor) -> None:
        constants = _constants(float(rate), self._step)
        fused.adam(self._weights, self._copy, gradients, self._moments, constants)


class FusedRowAdam(RowAdam):
    """See RowAdam."""

    def take(self, rows: Tensor) -> Tensor:
        """See RowAdam."""
        self._rows = rows
        self._taken = self._table.new_empty(len(rows), self._table.shape[1])
        self._now = torch.from_numpy(self._columns())
        fused.rows_caught_up(
            self._taken, self._table, self._first, self._second, self._touched, rows, self._now
        )
        return self._taken

    def step(self, gradients: Tensor) -> None:
        """See RowAdam."""
        rates = self._rates[:, self._step]
        left = float(self._left[0, self._step + 1] / self._left[0, self._step])
        self._step += 1
        fused.rows_step(
            self._taken, gradients, self._table, self._first, self._second, self._touched,
            self._rows, self._now, self._step, left, _constants(float(rates[0]), self._step),
        )  # fmt: skip
        self._remember(rates)


def _constants(rate: float, step: int) -> fused.Constants:
    """What a step of Adam needs, with both moments' corrections."""
    first, second = 1 - BETA1**step, math.sqrt(1 - BETA2**step)
    return rate / first, 1 / second, BETA1, 1 - BETA1, BETA2, 1 - BETA2, EPS
