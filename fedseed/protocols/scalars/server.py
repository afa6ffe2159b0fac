"""The server side of ``scalars``: zeroth-order training, of which only scalars travel.

FedKSeed (Qin et al. 2023, arXiv 2312.06353) and DeComFL (Li et al. 2024, arXiv 2405.15861).

Down: the seed (later its sha256), a recipe, which weights are trained, the number of directions,
and for each direction how far the run has gone along it since the seed. A direction is drawn from
the seed's digest and its number (:mod:`fedseed.training.zeroth_order`), so that everybody rebuilds
``w = w_seed + sum over k of a_k z_k``. Up: the number of examples, the steps, the training loss,
and for each direction how far the client's steps went along it. Kept: the server keeps the sums,
and a client whose body is frozen its texts' features. An observer who has the seed rebuilds each
client's weights after training, as under ``weights``; but all that they say about its texts is in
those few numbers.
``docs/protocols/scalars.md`` has the byte layout.
"""

import numpy as np
from torch import nn

from fedseed.coding.vectors import Vector
from fedseed.errors import ConfigError, WireError
from fedseed.protocols.base import Setup
from fedseed.protocols.scalars import ScalarsOptions
from fedseed.protocols.scalars.messages import (
    COUNT_BYTES,
    ENTRY_BYTES,
    STATE_BYTES,
    build_model,
    decode_scalars,
    encode_state,
)
from fedseed.protocols.vector_server import VectorServer
from fedseed.training.zeroth_order import LARGEST, has_head


class ScalarsServer(VectorServer):
    """Aggregates the clients' walks, by default in proportion to their examples."""

    sends_changes = True

    def __init__(self, setup: Setup) -> None:
        """Start a run.

        Raises:
            ConfigError: only the head is to be trained, and the model has none that is known.
        """
        super().__init__(setup)
        assert isinstance(setup.options, ScalarsOptions)
        self._head_only = setup.options.trainable == "head"
        self._directions = setup.options.perturbations
        if self._head_only and not has_head(list(setup.shapes)):
            raise ConfigError(
                f"{setup.model} has no module named classifier or score: leave out --trainable"
            )

    @property
    def size(self) -> int:
        """See :class:`VectorServer`."""
        return self._directions

    def start(self) -> Vector:
        """See :class:`VectorServer`: how far the run has gone along each direction, 0."""
        return np.zeros(self._directions, dtype=np.float32)

    def decode(self, body: bytes) -> Vector:
        """See :class:`VectorServer`."""
        return decode_scalars(body, self._directions)

    def check(self, vector: Vector) -> Vector:
        """See :class:`VectorServer`."""
        if not np.all(np.abs(vector) <= LARGEST):  # NaN is not
            raise WireError(f"the checkpoint has scalars not finite or beyond {LARGEST:g}")
        return vector

    def settle(self, vector: Vector) -> Vector:
        """See :class:`VectorServer`."""
        return np.clip(vector, -LARGEST, LARGEST).astype(np.float32)

    @property
    def _scalars(self) -> Vector:
        return self.start() if self._vector is None else self._vector

    def state(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return encode_state(self._head_only, self._scalars)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`."""
        return build_model(self.setup.seed, self._head_only, self._scalars)

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        count = self._directions
        walked = COUNT_BYTES + ENTRY_BYTES * min(count, self.setup.recipe.steps)
        return STATE_BYTES + 1 + 4 * count, 1 + min(4 * count, walked)
