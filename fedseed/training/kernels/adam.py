"""AdamW of one model on a CPU with the kernels, dense and row-sparse."""

import math

import torch
from torch import Tensor

from fedseed.training.kernels.calls import call
from fedseed.training.lean.adam import BETA1, BETA2, EPS, Decay, DenseAdam, Rates, RowAdam
from fedseed.training.lean.stack import WeightStack


class FusedDenseAdam(DenseAdam):
    """See DenseAdam; a step leaves the stack's gradients zero and its copy up to date."""

    def __init__(self, stack: WeightStack, rates: Rates, decay: Decay) -> None:
        """Start with a stack of one model; see DenseAdam."""
        super().__init__(stack.weights, stack.matrices, rates, decay)
        self._copy = None if stack.computed is stack.weights else stack.computed

    def _update(self, gradients: Tensor, rate: float | Tensor) -> None:
        first, second = self._moments
        constants = _constants(float(rate), self._step)
        count = self._weights.numel()
        if self._copy is None:
            call(
                "adam_f32", weights=self._weights, gradients=gradients, first=first, second=second,
                count=count, **constants,
            )  # fmt: skip
        else:
            call(
                "adam_bf16", copy=self._copy, weights=self._weights, gradients=gradients,
                first=first, second=second, count=count, **constants,
            )  # fmt: skip


class FusedRowAdam(RowAdam):
    """See RowAdam; for one model."""

    def take(self, rows: Tensor) -> Tensor:
        """See RowAdam.

        Raises:
            IndexError: a row that the table does not have.
        """
        count, features = len(rows), self._table.shape[1]
        self._rows = rows
        self._taken = self._table.new_empty(count, features)
        self._now = torch.from_numpy(self._columns())
        call(
            "rows_caught_up_f32", weights=self._taken, table=self._table, first=self._first,
            second=self._second, touched=self._touched, rows=rows, columns=self._now,
            words=len(self._table), steps=self._now.shape[-1], count=count, features=features,
        )  # fmt: skip
        return self._taken

    def step(self, gradients: Tensor) -> None:
        """See RowAdam."""
        rates = self._rates[:, self._step]
        left = float(self._left[0, self._step + 1] / self._left[0, self._step])
        self._step += 1
        count, features = gradients.shape
        call(
            "rows_step_f32", weights=self._taken, gradients=gradients, table=self._table,
            first=self._first, second=self._second, touched=self._touched, rows=self._rows,
            columns=self._now, words=len(self._table), steps=self._now.shape[-1], count=count,
            features=features, step=self._step, left=left,
            **_constants(float(rates[0]), self._step),
        )  # fmt: skip
        self._remember(rates)


def _constants(rate: float, step: int) -> dict[str, float]:
    """What a step of Adam needs, with both moments' corrections."""
    return {
        "rate": rate / (1 - BETA1**step), "root": 1 / math.sqrt(1 - BETA2**step), "beta1": BETA1,
        "new1": 1 - BETA1, "beta2": BETA2, "new2": 1 - BETA2, "eps": EPS,
    }  # fmt: skip
