"""The pretrained seed: published weights that the client holds or can fetch, by digest.

The payload is the sha256 of the weights (32 bytes), a key (8 bytes) from which a
classification head that the published files lack is drawn, and, where the head's classes are
in another order than the data's, the head's row for every class (a byte each).
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.errors import SeedError
from fedseed.models.architecture import Shapes, State
from fedseed.models.weight_files import published_digest
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


def pretrained_seed(
    model: str, labels: int, key: int, classes: Sequence[str] | None = None
) -> Seed:
    """Make a seed that names published weights.

    Args:
        model: ``minilm``, or a Hugging Face id or folder with safetensors weights.
        labels: number of classes.
        key: key of a head that the weights lack, in [0, 2**64).
        classes: names of the data's classes, in their order, to which those of a published head
            are matched; its rows are taken in its own order when None.

    Raises:
        ConfigError: no such weights can be found, or their classes have other names.
        SeedError: the published head is of another number of classes.
    """
    payload = struct.pack(_FORMAT, published_digest(model), key)
    if classes is not None:
        from fedseed.models.head import head_rows
        from fedseed.models.registry import find_model

        payload += bytes(head_rows(find_model(model, labels), classes))
    return Seed("pretrained", model, labels, payload)


class PretrainedFormat(SeedFormat):
    """Reads published weights; refuses them when their digest is not the seed's."""

    def make(self, material: Material) -> Seed:
        """See :class:`SeedFormat`."""
        return pretrained_seed(material.model, material.labels, material.key)

    def assemble(self, seed: Seed, shapes: Shapes) -> State:
        """See :class:`SeedFormat`."""
        from fedseed.models.registry import find_model
        from fedseed.models.taking import final_layer, published_weights

        wanted, key, rows = _decode(seed.payload)
        if published_digest(seed.model) != wanted:
            raise SeedError(
                f"the weights of {seed.model} here are not those that the seed names: "
                "install the same version"
            )
        if rows and len(rows) != seed.labels:
            raise SeedError(f"the seed orders {len(rows)} classes of {seed.labels}: make it again")
        published = published_weights(find_model(seed.model, seed.labels))
        state: State = {}
        for name, shape in shapes.items():
            if name in published.drawn:
                state[name] = draw(key, "bert", name, shape)
            else:
                state[name] = published.weights[name].astype(np.float32)
        if rows:
            for name in final_layer(shapes):
                state[name] = state[name][list(rows)]
        return state

    def sizes(self, seed: Seed, shapes: Shapes) -> dict[str, float]:  # noqa: ARG002
        """See :class:`SeedFormat`."""
        sizes: dict[str, float] = {"digest of the weights": 32, "key": 8}
        rows = len(_decode(seed.payload)[2])
        return sizes | ({"rows of the head": rows} if rows else {})

    def describe(self, payload: bytes) -> Mapping[str, Any]:
        """See :class:`SeedFormat`."""
        wanted, key, rows = _decode(payload)
        about = {"weights_sha256": wanted.hex(), "key": key}
        return about | ({"head_rows": list(rows)} if rows else {})


def _decode(payload: bytes) -> tuple[bytes, int, bytes]:
    size = struct.calcsize(_FORMAT)
    if len(payload) < size:
        raise SeedError(f"a pretrained seed's payload has at least 40 bytes, not {len(payload)}")
    wanted, key = struct.unpack(_FORMAT, payload[:size])
    rows, plain = payload[size:], bytes(range(min(256, len(payload) - size)))
    if rows and (bytes(sorted(rows)) != plain or rows == plain):
        raise SeedError("the pretrained seed's rows are no order of classes: make it again")
    return wanted, key, rows
