"""Quantised factors of one tensor, and their entropy coding.

A tensor is coded relative to its moments: Z = (W - mean) / deviation. A matrix is Z's leading
singular components, both factors scaled by the singular value and rounded to whole steps; that
spends bits where they lower the squared error most, because an error in either factor then
weighs the same. A vector is Z itself, rounded to whole steps. Integers are coded
by asymmetric numeral systems (Duda 2013; constriction, Bamler 2022) under Laplace distributions
whose widths follow from the singular values.
"""

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import constriction
import numpy as np
from numpy.typing import NDArray

from fedseed.errors import SeedError
from fedseed.models.architecture import Floats
from fedseed.seeds.extraction import components

Integers = NDArray[np.int32]
Coder: TypeAlias = constriction.stream.stack.AnsCoder
LIMIT = 1 << 14
"""Largest integer in a factor."""
_LAPLACE = constriction.stream.model.QuantizedLaplace(-LIMIT, LIMIT)
_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)


@dataclass(frozen=True)
class Factors:
    """Integer factors of one tensor."""

    rows: Integers
    """Shape ``(rows, rank)``; of a vector its values, shape ``(rows, 1)``."""
    columns: Integers
    """Shape ``(columns, rank)``; of a vector ``(0, 1)``."""
    values: NDArray[np.float16] = field(default_factory=lambda: np.zeros(0, dtype=np.float16))
    """Singular values of Z, shape ``(rank,)``; none for a vector."""

    @property
    def rank(self) -> int:
        """Number of components; 1 for a vector."""
        return int(self.rows.shape[1])

    @property
    def active(self) -> NDArray[np.bool_]:
        """Rows that hold anything, shape ``(rows,)``: the sparsity pattern."""
        return np.asarray(self.rows.any(axis=1), dtype=np.bool_)


def quantise_vector(values: Floats, step: float) -> Factors:
    """Round a vector that is given in units of its deviation."""
    rows = _whole(values[:, None] * (1.0 / step))
    return Factors(rows, np.zeros((0, 1), dtype=np.int32))


def decompose(matrix: Floats, rank: int) -> tuple[Floats, Floats, NDArray[np.float16]]:
    """Both factors scaled by the singular values, and those values as float16."""
    left, values, right = components(matrix, rank)
    kept = values > 0
    with np.errstate(over="ignore"):
        coded = values[kept].astype(np.float16)
    if not np.isfinite(coded).all():
        raise SeedError("a matrix is too large for this seed kind: its singular values overflow")
    scale = values[kept]
    return left[:, kept] * scale, right[:, kept] * scale, coded


def quantise_matrix(parts: tuple[Floats, Floats, NDArray[np.float16]], step: float) -> Factors:
    """Round both factors to whole steps; components of which nothing is left are dropped."""
    left, right, values = parts
    rows, columns = _whole(left / step), _whole(right / step)
    kept = rows.any(axis=0) & columns.any(axis=0) & (values > 0)
    return Factors(rows[:, kept], columns[:, kept], values[kept])


def _whole(values: Floats) -> Integers:
    rounded = np.rint(values)
    if rounded.size and np.abs(rounded).max() > LIMIT:
        raise SeedError(f"the step is too small: a factor exceeds {LIMIT} steps; give a larger one")
    return rounded.astype(np.int32)


def restore(factors: Factors, step: float) -> Floats:
    """The tensor in units of its deviation, shape ``(rows, columns)`` or ``(rows,)``.

    Every product and sum is one rounded float32 operation, in this order, on every machine.
    """
    if not len(factors.columns):
        return factors.rows[:, 0].astype(np.float32) * np.float32(step)
    out = np.zeros((len(factors.rows), len(factors.columns)), dtype=np.float32)
    active = factors.active
    some = out if active.all() else np.zeros((int(active.sum()), out.shape[1]), dtype=np.float32)
    for left, right, value in zip(
        factors.rows[active].T, factors.columns.T, factors.values, strict=True
    ):
        scaled = right.astype(np.float32) * np.float32(step * step / float(value))
        some += left.astype(np.float32)[:, None] * scaled
    if some is not out:
        out[active] = some
    return out


def write_factors(coder: Coder, factors: Factors, step: float) -> None:
    """Push a tensor's integers on the coder's stack, last first."""
    if not len(factors.columns):
        _push(coder, factors.rows[:, 0], 1.0 / step)
        return
    active = factors.active
    count = int(active.sum())
    for number in reversed(range(factors.rank)):
        value = float(factors.values[number])
        _push(coder, factors.columns[:, number], value / (math.sqrt(len(factors.columns)) * step))
        _push(coder, factors.rows[active, number], value / (math.sqrt(count) * step))
    if 0 < count < len(active):
        share = np.full(len(active), count / len(active))
        coder.encode_reverse(active.astype(np.int32), _BERNOULLI, share)


def _push(coder: Coder, symbols: Integers, spread: float) -> None:
    coder.encode_reverse(symbols, _LAPLACE, *_widths(len(symbols), spread))


def _widths(count: int, spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and widths of ``count`` Laplace distributions of standard deviation ``spread``."""
    return np.zeros(count), np.full(count, max(spread, 0.05) / math.sqrt(2))


def read_vector(coder: Coder, size: int, step: float) -> Factors:
    """Pop a vector's integers."""
    rows = _pop(coder, size, 1.0 / step)
    return Factors(rows[:, None], np.zeros((0, 1), dtype=np.int32))


def read_matrix(
    coder: Coder,
    shape: tuple[int, int],
    values: NDArray[np.float16],
    count: int,
    step: float,
) -> Factors:
    """Pop a matrix' integers.

    Args:
        coder: the stack.
        shape: rows and columns.
        values: singular values, finite and positive, shape ``(rank,)``.
        count: active rows, 0 to ``rows``.
        step: of the quantiser.

    Raises:
        SeedError: the sparsity pattern has another number of active rows.
    """
    size, width = shape
    active = np.full(size, count == size)
    if 0 < count < size:
        pattern = coder.decode(_BERNOULLI, np.full(size, count / size))
        active = np.asarray(pattern, dtype=bool)
        if int(active.sum()) != count:
            raise SeedError("the seed's sparsity pattern does not fit its count: make it again")
    rows = np.zeros((size, len(values)), dtype=np.int32)
    columns = np.zeros((width, len(values)), dtype=np.int32)
    for number, value in enumerate(values):
        rows[active, number] = _pop(coder, count, float(value) / (math.sqrt(count or 1) * step))
        columns[:, number] = _pop(coder, width, float(value) / (math.sqrt(width) * step))
    return Factors(rows, columns, values)


def _pop(coder: Coder, count: int, spread: float) -> Integers:
    if not count:
        return np.zeros(0, dtype=np.int32)
    integers: Integers = coder.decode(_LAPLACE, *_widths(count, spread))
    return integers
