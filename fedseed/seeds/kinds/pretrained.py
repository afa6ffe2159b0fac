"""The pretrained seed: published weights that the client holds or can fetch, by digest.

The payload is the sha256 of the weights (32 bytes) and a key (8 bytes) from which the
tensors that the published file lacks, as a rule the classification head, are drawn.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedseed.errors import SeedError
from fedseed.models.architecture import Shapes, State
from fedseed.models.published import published_digest, published_weights
from fedseed.seeds.base import Material, Seed, SeedFormat
from fedseed.seeds.description import SeedKind
from fedseed.seeds.kinds.random import draw

_FORMAT = "<32sQ"

SEED_KIND = SeedKind(
    name="pretrained",
    code=2,
    summary="the digest of published weights, and a key for what they lack",
    made_from="name",
    format=f"{__name__}:PretrainedFormat",
)


def pretrained_seed(model: str, labels: int, key: int) -> Seed:
    """Make a seed that names published weights.

    Args:
        model: ``minilm``, or a Hugging Face id or folder with safetensors weights.
        labels: number of classes.
        key: key of the tensors that the weights lack, in [0, 2**64).

    Raises:
        ConfigError: no such weights can be found.
    """
    return Seed("pretrained", model, labels, struct.pack(_FORMAT, published_digest(model), key))


class PretrainedFormat(SeedFormat):
    """Reads published weights; refuses them when their digest is not the seed's."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`."""
        return pretrained_seed(material.model, material.labels, material.key)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        wanted, key = _decode(seed.payload)
        if published_digest(seed.model) != wanted:
            raise SeedError(
                f"the weights of {seed.model} here are not those that the seed names: "
                "install the same version"
            )
        published = published_weights(seed.model, shapes)
        state: State = {}
        for name, shape in shapes.items():
            if name not in published:
                state[name] = draw(key, "bert", name, shape)
            elif published[name].shape != shape:
                raise SeedError(
                    f"{seed.model}: {name} has shape {published[name].shape}, not {shape}: "
                    "the weights are of another architecture or number of classes"
                )
            else:
                state[name] = published[name].astype(np.float32)
        return state

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """See :class:`SeedFormat`."""
        return {"digest of the weights": 32, "key": 8}

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        wanted, key = _decode(payload)
        return {"weights_sha256": wanted.hex(), "key": key}


def _decode(payload: bytes) -> tuple[bytes, int]:
    if len(payload) != struct.calcsize(_FORMAT):
        raise SeedError(f"a pretrained seed's payload has 40 bytes, not {len(payload)}")
    wanted, key = struct.unpack(_FORMAT, payload)
    return wanted, key
