"""The minimal seed: two moments and five coefficients of a whole model, 22 bytes.

The seed documents' smallest seed, as it was meant: a global mean and standard deviation and a
five-component hint of structure. The coefficients say which share of a matrix's energy its five
leading singular components hold, on average over all matrices; directions are drawn from the
key. docs/decisions/seed-kinds.md says how theirs came to 175 MB.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedseed.errors import SeedError
from fedseed.models.architecture import Floats, Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.description import SeedKind, SeedRow
from fedseed.seeds.extraction import components, moments, unpack
from fedseed.seeds.initialisation import constant
from fedseed.seeds.prng import normal

COEFFICIENTS = 5
_FORMAT = "<Qee5e"

SEED_KIND = SeedKind(
    name="minimal",
    code=3,
    summary="two moments and five coefficients of a whole model",
    made_from="weights",
    format=f"{__name__}:MinimalFormat",
    rows={"minimal": SeedRow("minimal: global moments")},
)


def _leading_shares(matrix: Floats) -> Floats:
    """Shares of the energy about the mean in the five leading components, shape ``(5,)``."""
    centred = matrix - matrix.mean()
    energy = float(np.sum(np.square(centred), dtype=np.float64))
    if energy == 0.0:
        return np.zeros(COEFFICIENTS, dtype=np.float32)
    _, values, _ = components(centred, COEFFICIENTS)
    return (np.square(values.astype(np.float64)) / energy).astype(np.float32)


class MinimalFormat(SeedFormat):
    """Draws every matrix with the global moments and five random directions; see fseed.md."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`."""
        matrices = [values for values in material.state().values() if values.ndim >= 2]
        mean, deviation = moments(np.concatenate([values.ravel() for values in matrices]))
        shares = [
            _leading_shares(values)
            for values in matrices
            if values.ndim == 2 and min(values.shape) > COEFFICIENTS
        ]
        coefficients = np.sqrt(np.mean(shares, axis=0)) if shares else np.zeros(COEFFICIENTS)
        payload = struct.pack(_FORMAT, material.key, mean, deviation, *coefficients)
        return Seed("minimal", material.model, material.labels, payload)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        key, mean, deviation, coefficients = _decode(seed.payload)
        return {
            name: self._draw(key, mean, deviation, coefficients, name, shape)
            for name, shape in shapes.items()
        }

    def _draw(
        self,
        key: int,
        mean: float,
        deviation: float,
        coefficients: tuple[float, ...],
        name: str,
        shape: tuple[int, ...],
    ) -> Floats:
        fixed = constant(name, shape)
        if fixed is not None:
            return np.full(shape, fixed, dtype=np.float32)
        rest = math.sqrt(max(0.0, 1.0 - math.fsum(c * c for c in coefficients)))
        values = normal(key, name, shape, 1.0)
        values *= np.float32(rest)
        rows, columns = shape[0], int(np.prod(shape[1:]))
        for number, coefficient in enumerate(coefficients):
            left = normal(key, f"{name}/rows/{number}", (rows, 1), coefficient)
            right = normal(key, f"{name}/columns/{number}", (1, columns), 1.0)
            values += (left * right).reshape(shape)
        values *= np.float32(deviation)
        values += np.float32(mean)
        return values

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """See :class:`SeedFormat`."""
        return {"key": 8, "mean and deviation": 4, "coefficients": 2 * COEFFICIENTS}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        key, mean, deviation, coefficients = _decode(payload)
        rounded = [round(value, 4) for value in coefficients]
        return {"key": key, "mean": mean, "deviation": deviation, "coefficients": rounded}


def _decode(payload: bytes) -> tuple[int, float, float, tuple[float, ...]]:
    key, mean, deviation, *coefficients = unpack(_FORMAT, payload, "minimal")
    if deviation < 0 or any(not 0 <= value <= 1 for value in coefficients):
        raise SeedError("the minimal seed's moments are impossible: make it again")
    return int(key), mean, deviation, tuple(coefficients)
