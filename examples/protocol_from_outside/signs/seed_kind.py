"""The seed kind ``deviations``: a key and one deviation of everything, twelve bytes."""

import struct
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from fedseed.errors import SeedError
from fedseed.models.architecture import Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.description import SeedKind, SeedOptions, SeedRow
from fedseed.seeds.prng import normal

_FORMAT = "<Qf"


class DeviationsOptions(SeedOptions):
    """How large the deviation is."""

    scale: float = Field(1.0, gt=0, description="Factor on the deviation.")


class DeviationsFormat(SeedFormat):
    """Draws everything with one deviation: the mean one of the weights' tensors."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`."""
        deviations = [float(values.std()) for values in material.state().values()]
        mean = material.options.scale * sum(deviations) / len(deviations)
        payload = struct.pack(_FORMAT, material.key, mean)
        return Seed("deviations", material.model, material.labels, payload)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        key, deviation = _decode(seed.payload)
        return {name: normal(key, name, shape, deviation) for name, shape in shapes.items()}

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:
        """See :class:`SeedFormat`."""
        return {"key": 8.0, "deviation": 4.0}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        key, deviation = _decode(payload)
        return {"key": key, "deviation": deviation}


def _decode(payload: bytes) -> tuple[int, float]:
    if len(payload) != struct.calcsize(_FORMAT):
        raise SeedError(f"a seed of kind deviations has 12 bytes, not {len(payload)}")
    key, deviation = struct.unpack(_FORMAT, payload)
    if not 0 <= deviation < 1e3:  # NaN is neither
        raise SeedError(f"a deviation of {deviation} is not possible")
    return key, deviation


SEED_KIND = SeedKind(
    name="deviations",
    code=200,
    summary="one deviation of everything",
    made_from="weights",
    format="signs.seed_kind:DeviationsFormat",
    options=DeviationsOptions,
    rows={"deviations": SeedRow("deviations: one number")},
)
