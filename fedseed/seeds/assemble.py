"""From a seed's bytes to a model: what every client, newcomer and study does first."""

import functools

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.errors import WireError
from fedseed.models.architecture import Shapes, State
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


def grown_tensor(encoded: bytes, name: str) -> NDArray[np.float32]:
    """One tensor of the model that a seed grows into, without the module; the caller's own.

    Raises:
        SeedError, ConfigError: see :func:`grow`.
        KeyError: the model has no such tensor.
    """
    return _assembled(encoded)[1][name].astype(np.float32)  # a copy


def tensor_sizes(encoded: bytes) -> list[int]:
    """Weights of every tensor of the model that a seed names, in the architecture's order.

    Raises:
        SeedError, ConfigError: see :func:`grow`.
    """
    return [int(np.prod(shape)) for shape in shapes_of(encoded).values()]


def shapes_of(encoded: bytes) -> Shapes:
    """Name and shape of every weight of the model that a seed names.

    Raises:
        SeedError, ConfigError: see :func:`grow`.
    """
    return _model_of(encoded).shapes()


def _model_of(encoded: bytes) -> Model:
    seed = decode(encoded)
    return find_model(seed.model, seed.labels)


def grow_with(encoded: bytes, weights: NDArray[np.float32]) -> nn.Module:
    """Make the model that a seed names with other weights.

    Args:
        encoded: the seed.
        weights: all weights end to end, in the architecture's order.

    Raises:
        SeedError, ConfigError: see :func:`grow`.
        WireError: the model has another number of weights.
    """
    model, sizes = _model_of(encoded), tensor_sizes(encoded)
    if sum(sizes) != len(weights):
        raise WireError(f"{len(weights)} weights do not fit {model.name}, which has {sum(sizes)}")
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    named = zip(model.shapes().items(), parts, strict=True)
    return build(model, {name: part.reshape(shape) for (name, shape), part in named})
