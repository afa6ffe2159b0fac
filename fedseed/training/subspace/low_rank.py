"""Changes of low rank: W becomes W + scale B A, or W + scale U C V with a small trained core C."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedseed.training.lean.stack import Directions


class Change(nn.Module):
    """The parametrisation of one matrix; torch's own, see :mod:`torch.nn.utils.parametrize`."""

    scale: float
    """Of the product."""

    @property
    @abstractmethod
    def trained(self) -> Sequence[nn.Parameter]:
        """What is trained of it."""

    @abstractmethod
    def forward(self, weights: Tensor) -> Tensor:
        """Return the changed matrix."""

    @abstractmethod
    def write(self, original: Tensor, out: Tensor) -> None:
        """Write the changed matrix into one of its shape."""

    @property
    @abstractmethod
    def directions(self) -> Sequence[Directions]:
        """Of what is trained, tensor by tensor: the factors to its left and to its right."""

    def add_gradients(self, gradient: Tensor) -> None:
        """Write the gradients of what is trained, of the loss's with respect to the matrix.

        Args:
            gradient: shape ``(rows, columns)``.
        """
        for (left, right), part in zip(self.directions, self.trained, strict=True):
            inner = gradient if right is None else gradient @ right.T
            self._write_gradient(part, inner if left is None else left.T @ inner)

    def add_reduced(self, totals: Sequence[Tensor]) -> None:
        """Write them of the gradient's parts in :attr:`directions`, which become zero."""
        for total, part in zip(totals, self.trained, strict=True):
            self._write_gradient(part, total)
            total.zero_()

    def _write_gradient(self, part: nn.Parameter, gradient: Tensor) -> None:
        assert part.grad is not None
        torch.mul(gradient, self.scale, out=part.grad)


class LowRank(Change):
    """Two factors (Hu et al. 2021, arXiv 2106.09685)."""

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

    @property
    def trained(self) -> Sequence[nn.Parameter]:
        """See :class:`Change`."""
        return [self.rows, self.columns] if self.columns.requires_grad else [self.rows]

    def forward(self, weights: Tensor) -> Tensor:
        """See :class:`Change`."""
        return weights + self.scale * (self.rows @ self.columns)

    def write(self, original: Tensor, out: Tensor) -> None:
        """See :class:`Change`."""
        torch.addmm(original, self.rows.data, self.columns.data, alpha=self.scale, out=out)

    @property
    def directions(self) -> Sequence[Directions]:
        """See :class:`Change`."""
        pairs: list[Directions] = [(None, self.columns.data)]
        return [*pairs, (self.rows.data, None)] if self.columns.requires_grad else pairs


class Core(Change):
    """A trained core between two fixed factors (LoRA-XS: Balazy et al. 2024, arXiv 2405.17604)."""

    left: Tensor
    right: Tensor

    def __init__(self, left: Tensor, core: Tensor, right: Tensor, scale: float) -> None:
        """Start.

        Args:
            left: U, shape ``(rows, rank)``.
            core: C, shape ``(rank, rank)``.
            right: V, shape ``(rank, columns)``.
            scale: of the product.
        """
        super().__init__()
        self.core = nn.Parameter(core)
        self.register_buffer("left", left)
        self.register_buffer("right", right)
        self.scale = scale

    @property
    def trained(self) -> Sequence[nn.Parameter]:
        """See :class:`Change`."""
        return [self.core]

    def forward(self, weights: Tensor) -> Tensor:
        """See :class:`Change`."""
        return weights + self.scale * (self.left @ self.core @ self.right)

    def write(self, original: Tensor, out: Tensor) -> None:
        """See :class:`Change`."""
        torch.addmm(original, self.left @ self.core.data, self.right, alpha=self.scale, out=out)

    @property
    def directions(self) -> Sequence[Directions]:
        """See :class:`Change`."""
        return [(self.left, self.right)]
