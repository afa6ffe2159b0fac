"""The client side of ``adapters``: trains factors and head from the server's, sends its own."""

from torch import nn

from fedseed.coding.codecs import with_error_feedback
from fedseed.protocols.adapters.low_rank import AdaptedModel, merged
from fedseed.protocols.adapters.messages import read_download
from fedseed.protocols.base import ClientTask
from fedseed.protocols.shared_model import Download, SharedModelClient
from fedseed.training import FitJob, FitResult


class AdaptersClient(SharedModelClient):
    """Trains factors and head from the server's, and sends its own or what it changed."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        layout, codec, vector = read_download(download.seed, download.body)
        recipe, shard = download.recipe, task.shard
        model = AdaptedModel(download.seed, layout, vector, recipe.embedding_multiplier)
        result = self.trainer.fit(FitJob(model, shard.table, shard.whole(), recipe, task.rng))
        after = model.vector()
        if not codec.sends_changes:
            return result, codec.encode(after, layout.parts.sizes)
        return result, with_error_feedback(after - vector, codec, layout.parts.sizes, task.memory)

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        layout, _, vector = read_download(download.seed, download.body)
        return merged(download.seed, layout, vector)
