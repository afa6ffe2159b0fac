"""A change of low rank: W becomes W + scale B A, with one trained factor or both."""

import torch
from torch import Tensor, nn


class LowRank(nn.Module):
    """The parametrisation of one matrix; torch's own, see :mod:`torch.nn.utils.parametrize`."""

    def __init__(self, rows: Tensor, columns: Tensor, scale: float, both: bool) -> None:
        """Start.

        Args:
            rows: B, shape ``(rows, rank)``.
            columns: A, shape ``(rank, columns)``.
            scale: of the product.
            both: whether A is trained as well.
        """
        super().__init__()
        self.rows = nn.Parameter(rows)
        self.columns = nn.Parameter(columns, requires_grad=both)
        self.scale = scale

    def forward(self, weights: Tensor) -> Tensor:
        """Return the changed matrix."""
        return weights + self.scale * (self.rows @ self.columns)

    def write(self, original: Tensor, out: Tensor) -> None:
        """Write the changed matrix into one of its shape."""
        torch.addmm(original, self.rows.data, self.columns.data, alpha=self.scale, out=out)

    def add_gradients(self, gradient: Tensor) -> None:
        """Write the factors' gradients, of the loss's gradient with respect to the matrix.

        Args:
            gradient: shape ``(rows, columns)``.
        """
        assert self.rows.grad is not None
        torch.mm(gradient, self.columns.data.T, out=self.rows.grad).mul_(self.scale)
        if self.columns.grad is not None:
            torch.mm(self.rows.data.T, gradient, out=self.columns.grad).mul_(self.scale)
