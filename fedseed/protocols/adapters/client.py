"""The client side of ``adapters``: trains factors and head from the server's, sends its own."""

from torch import nn

from fedseed.protocols.adapters.low_rank import AdaptedModel, merged
from fedseed.protocols.adapters.messages import read_download
from fedseed.protocols.base import ClientTask
from fedseed.protocols.shared_model import Download
from fedseed.protocols.vector_client import Learnt, VectorClient
from fedseed.training import FitJob


class AdaptersClient(VectorClient):
    """Trains factors and head from the server's."""

    def learn(self, download: Download, task: ClientTask) -> Learnt:
        """See :class:`VectorClient`."""
        layout, codec, vector = read_download(download.seed, download.body)
        recipe, shard = download.recipe, task.shard
        model = AdaptedModel(download.seed, layout, vector, recipe.embedding_multiplier)
        result = self.trainer.fit(FitJob(model, shard.table, shard.whole(), recipe, task.rng))
        return Learnt(result, vector, model.vector(), codec, layout.parts)

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        layout, _, vector = read_download(download.seed, download.body)
        return merged(download.seed, layout, vector)
