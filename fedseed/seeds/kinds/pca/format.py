"""The pca seed: leading components of every matrix, moments, and which rows matter.

The seed documents' full seed. Theirs stores components as floats and no word's place on them;
ours stores both factors, quantised and entropy coded (``factors.py``), so that it costs less and
says more. Rows of which nothing is left after rounding are named by a bit, not by zeros.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from fedseed.errors import SeedError
from fedseed.models.architecture import Floats, Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.extraction import moments
from fedseed.seeds.kinds.pca import PcaOptions
from fedseed.seeds.kinds.pca.factors import (
    Factors,
    decompose,
    quantise_matrix,
    quantise_vector,
    read_matrix,
    read_vector,
    restore,
    write_factors,
)
from fedseed.seeds.prng import normal

_HEAD = "<BQf"
_TENSOR = "<eeeHI"
_MOST_RANK = 65_535


@dataclass(frozen=True)
class _Tensor:
    """One tensor of a payload."""

    mean: float
    deviation: float
    residual: float
    """Root mean square of what the factors leave out, in deviations."""
    factors: Factors | None
    """None for a tensor that is constant or has no component left."""
    coded_bytes: float
    """Bytes of its singular values and of its part of the entropy-coded stream."""


def own_step(step: float, size: int) -> float:
    """A tensor's step in units of its deviation, so that all lose alike relative to their norm."""
    return step * math.sqrt(size)


def refuse_options(options: PcaOptions, shapes: Shapes) -> None:
    """Refuse what cannot be made of a network of these shapes, before weights are there.

    Raises:
        SeedError: more components than a matrix has, an absurd step, or a pattern without a tensor.
    """
    ranks = [min(shape[0], math.prod(shape[1:])) for shape in shapes.values() if len(shape) > 1]
    highest = max(ranks, default=0)
    budget = options.budget or {}
    for k in (options.k, *budget.values()):
        if not 1 <= k <= min(highest, _MOST_RANK):
            raise SeedError(
                f"k = {k}: the matrices of this model have ranks up to {highest}: choose k in "
                f"1 to {highest}"
            )
    if not 1e-6 <= options.step <= 1:
        raise SeedError(f"step = {options.step:g} is not in 0.000001 to 1")
    for pattern in budget:
        if not any(fnmatch(name, pattern) for name in shapes):
            raise SeedError(f"no tensor's name fits the pattern '{pattern}'")


def _decompose(name: str, values: Floats, options: PcaOptions) -> Any:
    """A tensor's moments, and its factors before rounding."""
    mean, deviation = moments(values)
    if deviation == 0.0:
        return mean, deviation, None
    scaled = (values - np.float32(mean)) / np.float32(deviation)
    if values.ndim == 1:
        return mean, deviation, scaled
    matrix = scaled.reshape(len(scaled), -1)
    k = min(options.components_of(name), *matrix.shape)
    return mean, deviation, decompose(matrix, k)


def _encode(state: State, parts: Mapping[str, Any], step: float, key: int, fill: bool) -> bytes:
    step = float(np.float32(step))
    heads, spectra, coded = [], [], []
    for name, values in state.items():
        mean, deviation, part = parts[name]
        factors = None
        if part is not None:
            vector = values.ndim == 1
            size = own_step(step, values.size)
            factors = quantise_vector(part, size) if vector else quantise_matrix(part, size)
        if factors is None or not factors.rank:
            heads.append(struct.pack(_TENSOR, mean, deviation, float(deviation > 0), 0, 0))
            continue
        scaled = (values.reshape(len(values), -1) - np.float32(mean)) / np.float32(deviation)
        missed = scaled - restore(factors, size).reshape(scaled.shape)
        residual = float(np.sqrt(np.mean(np.square(missed), dtype=np.float64)))
        count = int(factors.active.sum())
        heads.append(struct.pack(_TENSOR, mean, deviation, residual, factors.rank, count))
        spectra.append(factors.values.astype("<f2").tobytes())
        coded.append((factors, size))
    coder = constriction.stream.stack.AnsCoder()
    for factors, size in reversed(coded):
        write_factors(coder, factors, size)
    words: NDArray[np.uint32] = coder.get_compressed()
    head = struct.pack(_HEAD, fill, key, step)
    return head + b"".join([*heads, *spectra, words.astype("<u4").tobytes()])


class PcaFormat(SeedFormat):
    """Restores every tensor from its factors and moments; see fseed.md."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`.

        Raises:
            SeedError: k is above every matrix' rank or below 1, the step is not positive, the
                weights do not fit the architecture or are not finite, or no step makes it fit.
        """
        options: PcaOptions = material.options
        state = material.state()
        refuse_options(options, material.shapes)
        parts = {name: _decompose(name, values, options) for name, values in state.items()}
        step = options.step
        for _ in range(64):
            payload = _encode(state, parts, step, material.key, options.fill)
            if options.max_bytes is None or len(payload) <= options.max_bytes:
                return Seed("pca", material.model, material.labels, payload)
            step *= 2**0.25
        raise SeedError(f"no pca seed of this model has {options.max_bytes} bytes: give more")

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        fill, key, step, tensors = _decode(seed.payload, shapes)
        state: State = {}
        for (name, shape), tensor in zip(shapes.items(), tensors, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):  # a hostile seed's numbers
                values = np.zeros(shape, dtype=np.float32)
                if tensor.factors is not None:
                    size = own_step(step, int(np.prod(shape)))
                    values = restore(tensor.factors, size).reshape(shape)
                if fill and tensor.residual > 0:
                    values += normal(key, name, shape, tensor.residual)
                values *= np.float32(tensor.deviation)
                values += np.float32(tensor.mean)
            if not np.isfinite(values).all():
                raise SeedError(f"the pca seed gives {name} values beyond float32: make it again")
            state[name] = values
        return state

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:
        """See :class:`SeedFormat`."""
        tensors = _decode(seed.payload, shapes)[3]
        named = zip(shapes, tensors, strict=True)
        return {"fill, key and step": struct.calcsize(_HEAD)} | {
            name: struct.calcsize(_TENSOR) + tensor.coded_bytes for name, tensor in named
        }

    def expected_errors(self, seed: Seed, shapes: Shapes) -> dict[str, float]:
        """See :class:`SeedFormat`: measured at extraction, without the noise of ``fill``."""
        tensors = _decode(seed.payload, shapes)[3]
        return {name: tensor.residual for name, tensor in zip(shapes, tensors, strict=True)}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        fill, key, step = _head(payload)
        return {"key": key, "step": step, "fill": bool(fill)}


def _head(payload: bytes) -> tuple[int, int, float]:
    if len(payload) < struct.calcsize(_HEAD):
        raise SeedError("the pca seed is truncated")
    fill, key, step = struct.unpack_from(_HEAD, payload)
    if fill not in (0, 1) or not 1e-6 <= step <= 1e6:
        raise SeedError("the pca seed's header is malformed: make it again")
    return fill, key, step


def _decode(payload: bytes, shapes: Shapes) -> tuple[int, int, float, list[_Tensor]]:
    """Read a payload; sizes are checked against the shapes before anything is allocated."""
    fill, key, step = _head(payload)
    place = struct.calcsize(_HEAD)
    size = struct.calcsize(_TENSOR)
    if len(payload) < place + size * len(shapes):
        raise SeedError("the pca seed is of another architecture, or truncated")
    heads = list(struct.iter_unpack(_TENSOR, payload[place : place + size * len(shapes)]))
    place += size * len(shapes)
    spectra = []
    for (name, shape), (mean, deviation, residual, rank, active) in zip(
        shapes.items(), heads, strict=True
    ):
        most = min(shape[0], int(np.prod(shape[1:]))) if len(shape) > 1 else 1
        finite = np.isfinite([mean, deviation, residual]).all()
        if not finite or deviation < 0 or residual < 0 or rank > most or active > shape[0]:
            raise SeedError(f"the pca seed does not fit {name}: it is of another architecture")
        count = rank if len(shape) > 1 else 0
        if place + 2 * count > len(payload):
            raise SeedError("the pca seed is truncated")
        values = np.frombuffer(payload, "<f2", count, place)
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise SeedError("the pca seed's singular values are impossible: make it again")
        spectra.append(values.astype(np.float16))
        place += values.nbytes
    if (len(payload) - place) % 4:
        raise SeedError("the pca seed is of another architecture, or truncated")
    words = np.frombuffer(payload, "<u4", offset=place).astype(np.uint32)
    return fill, key, step, _read_tensors(words, shapes, heads, spectra, step)


def _read_tensors(
    words: NDArray[np.uint32],
    shapes: Shapes,
    heads: list[tuple[Any, ...]],
    spectra: list[NDArray[np.float16]],
    step: float,
) -> list[_Tensor]:
    if len(words) and words[-1] == 0:
        raise SeedError("the pca seed's coded part is malformed: make it again")
    coder = constriction.stream.stack.AnsCoder(words)
    tensors = []
    for shape, head, values in zip(shapes.values(), heads, spectra, strict=True):
        mean, deviation, residual, rank, active = head
        factors, bits = None, coder.num_valid_bits()
        size = own_step(step, int(np.prod(shape)))
        if rank and len(shape) == 1:
            factors = read_vector(coder, shape[0], size)
        elif rank:
            matrix = (shape[0], int(np.prod(shape[1:])))
            factors = read_matrix(coder, matrix, values, active, size)
        if rank != (factors.rank if factors else 0) or active != (
            int(factors.active.sum()) if factors else 0
        ):
            raise SeedError("the pca seed's sparsity pattern does not fit: make it again")
        coded = values.nbytes + (bits - coder.num_valid_bits()) / 8
        tensors.append(_Tensor(mean, deviation, residual, factors, coded))
    if not coder.is_empty():
        raise SeedError("the pca seed's coded part is longer than its header says")
    return tensors
