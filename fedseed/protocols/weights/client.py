"""The client side of ``weights``: trains from the server's weights, sends its own."""

from torch import nn

from fedseed.coding.vectors import Parts
from fedseed.protocols.base import ClientTask
from fedseed.protocols.shared_model import Download, flat_weights
from fedseed.protocols.vector_client import Learnt, VectorClient
from fedseed.protocols.weights.messages import build_model, read_codec
from fedseed.training import FitJob


class WeightsClient(VectorClient):
    """Trains from the server's weights."""

    def learn(self, download: Download, task: ClientTask) -> Learnt:
        """See :class:`VectorClient`."""
        codec, _ = read_codec(download.body)
        model, shard = self.build(download), task.shard
        before = flat_weights(model)
        result = self.trainer.fit(
            FitJob(model, shard.table, shard.whole(), download.recipe, task.rng)
        )
        parts = Parts({name: tuple(part.shape) for name, part in model.named_parameters()})
        return Learnt(result, before, flat_weights(model), codec, parts)

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return build_model(download.seed, download.body)
