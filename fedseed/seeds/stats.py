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
from fedseed.seeds.base import Seed, SeedKind
from fedseed.seeds.counter import normal
from fedseed.seeds.extraction import Floats, check_weights, moments, unpack

_KEY = 8


def stats_seed(
    model: str, labels: int, shapes: Shapes, weights: Mapping[str, Floats], key: int
) -> Seed:
    """Describe a model by two moments a tensor.

    Args:
        model: the architecture's name.
        labels: number of classes; 0 for a language model.
        shapes: name and shape of every parameter.
        weights: the model's weights.
        key: from which the tensors will be drawn, in [0, 2**64).

    Raises:
        SeedError: the weights do not fit the architecture, or are not finite.
    """
    state = check_weights(weights, shapes)
    pairs = [moment for values in state.values() for moment in moments(values)]
    return Seed("stats", model, labels, struct.pack(_layout(len(state)), key, *pairs))


class StatsKind(SeedKind):
    """Draws every tensor, biases and layer norms too, with its own moments."""

    name = "stats"
    code = 4

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedKind`."""
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
        """See :class:`SeedKind`."""
        unpack(_layout(len(shapes)), seed.payload, "stats")
        return {"key": float(_KEY)} | dict.fromkeys(shapes, 4.0)

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedKind`."""
        count = (len(payload) - _KEY) // 4
        key, *_ = unpack(_layout(max(0, count)), payload, "stats")
        return {"key": int(key), "tensors": count}


def _layout(tensors: int) -> str:
    return f"<Q{2 * tensors}e"
