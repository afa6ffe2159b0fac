"""The client side of ``signs``."""

from torch import nn

from fedseed.protocols.base import ClientTask
from fedseed.protocols.shared_client import SharedModelClient
from fedseed.protocols.shared_model import Download, flat_weights
from fedseed.training import FitJob, FitResult
from signs.messages import build_model, encode_signs


class SignsClient(SharedModelClient):
    """Trains from the server's weights, and sends which of them grew."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        model, shard = self.build(download), task.shard
        before = flat_weights(model)
        job = FitJob(model, shard.table, shard.whole(), download.recipe, task.rng)
        result = self.trainer.fit(job)
        return result, encode_signs(flat_weights(model) - before)

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return build_model(download.seed, download.body)
