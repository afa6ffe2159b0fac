"""The client side of ``weights``: trains from the server's weights, sends its own."""

import numpy as np
from torch import nn

from fedseed.coding.codecs import Codec, with_error_feedback
from fedseed.coding.vectors import Vector
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import noisy_vector
from fedseed.protocols.base import ClientTask
from fedseed.protocols.shared_model import Download, SharedModelClient, flat_weights
from fedseed.protocols.weights.messages import build_model, read_codec
from fedseed.training import FitJob, FitResult


class WeightsClient(SharedModelClient):
    """Trains from the server's weights, and sends its own or what it changed."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        codec, _ = read_codec(download.body)
        model = self.build(download)
        is_private = self.defence is not None and self.defence.by_client
        before = flat_weights(model) if codec.sends_changes or is_private else None
        shard = task.shard
        result = self.trainer.fit(
            FitJob(model, shard.table, shard.whole(), download.recipe, task.rng)
        )
        after = flat_weights(model)
        sizes = [part.numel() for part in model.parameters()]
        if before is None:
            return result, codec.encode(after, sizes)
        if is_private:
            noisy_change = self._noisy(after - before, codec, task.rng)
            return result, codec.encode(before + noisy_change, sizes)
        return result, with_error_feedback(after - before, codec, sizes, task.memory)

    def _noisy(self, change: Vector, codec: Codec, rng: np.random.Generator) -> Vector:
        """A change as it may leave when all of the client's examples are protected."""
        assert self.defence is not None
        if codec.sends_changes:
            raise WireError("a client that noises what it sends takes codec fp32 or fp16 only")
        return noisy_vector(change, self.defence.clip, self.defence.noise, rng)

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return build_model(download.seed, download.body)
