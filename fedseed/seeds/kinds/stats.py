"""The stats seed: mean and standard deviation of every tensor, four bytes each.

The seed documents' "no structure" seed. Names and shapes are the architecture's, so that only
the moments travel, as float16.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedseed.errors import SeedError
from fedseed.models.architecture import Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.description import SeedKind, SeedRow
from fedseed.seeds.extraction import moments, unpack
from fedseed.seeds.prng import normal

_KEY = 8

SEED_KIND = SeedKind(
    name="stats",
    code=4,
    summary="mean and standard deviation of every tensor",
    made_from="weights",
    format=f"{__name__}:StatsFormat",
    rows={"stats": SeedRow("stats: moments of each tensor")},
)


class StatsFormat(SeedFormat):
    """Draws every tensor, biases and layer norms too, with its own moments."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`."""
        state = material.state()
        pairs = [moment for values in state.values() for moment in moments(values)]
        payload = struct.pack(_layout(len(state)), material.key, *pairs)
        return Seed("stats", material.model, material.labels, payload)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        key, *pairs = unpack(_layout(len(shapes)), seed.payload, "stats")
        state: State = {}
        for (name, shape), mean, deviation in zip(
            shapes.items(), pairs[::2], pairs[1::2], strict=True
        ):
            if deviation < 0:
                raise SeedError("the stats seed holds a negative deviation: make it again")
            state[name] = normal(int(key), name, shape, deviation)
            state[name] += np.float32(mean)
        return state

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:
        """See :class:`SeedFormat`."""
        unpack(_layout(len(shapes)), seed.payload, "stats")
        return {"key": float(_KEY)} | dict.fromkeys(shapes, 4.0)

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        count = (len(payload) - _KEY) // 4
        key, *_ = unpack(_layout(max(0, count)), payload, "stats")
        return {"key": int(key), "tensors": count}


def _layout(tensors: int) -> str:
    return f"<Q{2 * tensors}e"
