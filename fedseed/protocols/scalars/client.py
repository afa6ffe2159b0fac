"""The client side of ``scalars``: walks along directions, and sends how far."""

import struct

import numpy as np
from torch import nn

from fedseed.errors import WireError
from fedseed.protocols.base import ClientTask
from fedseed.protocols.scalars import ScalarsOptions
from fedseed.protocols.scalars.messages import (
    build_model,
    decode_state,
    directions_of,
    encode_scalars,
)
from fedseed.protocols.shared_client import SharedModelClient
from fedseed.protocols.shared_model import Download
from fedseed.seeds.base import digest
from fedseed.training import FitJob, FitResult
from fedseed.training.zeroth_order import HeadSurface, Scalars, make_surface, walk

_FEATURES = "features"


class ScalarsClient(SharedModelClient):
    """Walks along directions, and sends how far."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        seed, recipe, shard = download.seed, download.recipe, task.shard
        head_only, scalars = self._state(download)
        model = build_model(seed, head_only, scalars)
        self.trainer.allow(recipe)
        job = FitJob(model, shard.table, shard.whole(), recipe, task.rng)
        # Features belong to a body and to how much of a text it was given.
        owner = digest(seed + struct.pack("<I", recipe.max_length))
        remembered, features = task.memory.get(_FEATURES, b""), None
        if remembered.startswith(owner):
            features = np.frombuffer(remembered[len(owner) :], "<f4").copy()
        surface = make_surface(job, head_only, self.trainer.compute, features)
        result, walked = walk(surface, directions_of(seed, len(scalars)))
        if isinstance(surface, HeadSurface):
            task.memory[_FEATURES] = owner + surface.features.astype("<f4").tobytes()
        return result, encode_scalars(walked)

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return build_model(download.seed, *self._state(download))

    def _state(self, download: Download) -> tuple[bool, Scalars]:
        """What came down, unless it has more directions than the client's own options.

        Raises:
            WireError: it has, or is malformed.
        """
        head, scalars = decode_state(download.body)
        assert isinstance(self.options, ScalarsOptions)
        if len(scalars) > self.options.perturbations:
            raise WireError(f"{len(scalars):,} directions are more than this client's own options")
        return head, scalars
