"""From a seed's bytes to a model: what every client, newcomer and study does first."""

import functools

from torch import nn

from fedseed.models.architecture import State
from fedseed.models.registry import Model, build, find_model
from fedseed.seeds.codec import assemble, decode


@functools.lru_cache(maxsize=2)
def _assembled(encoded: bytes) -> tuple[Model, State]:
    seed = decode(encoded)
    model = find_model(seed.model, seed.labels)
    return model, assemble(seed, model.shapes())


def grow(encoded: bytes) -> nn.Module:
    """Assemble the model of an encoded seed; the weights are the caller's own to train.

    Raises:
        SeedError: the bytes are no valid seed, or do not fit the architecture.
        ConfigError: the seed names a model that cannot be found here.
    """
    model, state = _assembled(encoded)
    return build(model, state)
