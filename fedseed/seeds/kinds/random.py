"""The random seed: a 64-bit key and the name of an initialisation scheme, nine bytes.

It carries no knowledge of any task. Its worth is that the same weights come out bit for bit
on every machine, and that the scheme decides how fast they learn.
"""

import struct
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedseed.errors import SeedError
from fedseed.models.architecture import CAUSAL, FROM_PRNG, Shapes, State
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.description import SeedKind, SeedOptions, SeedRow
from fedseed.seeds.initialisation import SCHEMES, constant, standard_deviation
from fedseed.seeds.prng import normal

_FORMAT = "<BQ"


class RandomOptions(SeedOptions):
    """Options of a random seed."""

    scheme: Literal["bert", "scaled"] = Field(
        "scaled", description="Initialisation scheme, bert or scaled."
    )


SEED_KIND = SeedKind(
    name="random",
    code=1,
    summary="a key and an initialisation scheme",
    made_from="key",
    format=f"{__name__}:RandomFormat",
    options=RandomOptions,
    rows={
        "random-bert": SeedRow("random, scheme bert", {"scheme": "bert"}),
        "random-scaled": SeedRow(
            "random, scheme scaled", {"scheme": "scaled"}, for_language_models=False
        ),
    },
)


def random_seed(model: str, labels: int, key: int, scheme: str) -> Seed:
    """Make a random seed.

    Args:
        model: an architecture that starts from a random generator, such as ``bert-tiny``.
        labels: number of classes.
        key: the generator's key, in [0, 2**64).
        scheme: ``bert`` or ``scaled``.

    Raises:
        SeedError: the model is not one of those, or the scheme or key is not valid.
    """
    if labels == CAUSAL and scheme == "scaled":
        raise SeedError("the scheme scaled is for BERT: a language model takes bert, N(0, 0.02)")
    if labels != CAUSAL and model not in FROM_PRNG:
        raise SeedError(
            f"a random seed assembles {', '.join(FROM_PRNG)}, not {model}, which starts from "
            "published weights"
        )
    if scheme not in SCHEMES:
        raise SeedError(f"unknown scheme '{scheme}': choose from {', '.join(SCHEMES)}")
    if not 0 <= key < 2**64:
        raise SeedError(f"the key {key} is not in 0 to 2**64 - 1")
    return Seed("random", model, labels, struct.pack(_FORMAT, SCHEMES.index(scheme), key))


class RandomFormat(SeedFormat):
    """Draws every matrix from the key; layer norms are 1, biases 0."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`."""
        options: RandomOptions = material.options
        return random_seed(material.model, material.labels, material.key, options.scheme)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        scheme, key = _decode(seed.payload)
        return {name: draw(key, scheme, name, shape) for name, shape in shapes.items()}

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """See :class:`SeedFormat`."""
        return {"scheme": 1, "key": 8}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        scheme, key = _decode(payload)
        return {"scheme": scheme, "key": key}


def draw(key: int, scheme: str, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the initial value of one tensor, float32 of shape ``shape``."""
    fixed = constant(name, shape)
    if fixed is not None:
        return np.full(shape, fixed, dtype=np.float32)
    deviation = standard_deviation(scheme, name, shape)
    if deviation == 0.0:
        return np.zeros(shape, dtype=np.float32)
    return normal(key, name, shape, deviation)


def _decode(payload: bytes) -> tuple[str, int]:
    if len(payload) != struct.calcsize(_FORMAT):
        raise SeedError(f"a random seed's payload has 9 bytes, not {len(payload)}")
    scheme, key = struct.unpack(_FORMAT, payload)
    if scheme >= len(SCHEMES):
        raise SeedError(f"the initialisation scheme number {scheme} is not known to this version")
    return SCHEMES[scheme], key
