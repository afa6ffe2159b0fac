"""The client side of ``mask``: learns probabilities, and sends a draw of them."""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.coding.packing import pack
from fedseed.protocols.base import ClientTask
from fedseed.protocols.mask.masked_model import (
    CLIP,
    MaskedModel,
    build_model,
    masked_matrices,
    probabilities_of,
)
from fedseed.protocols.mask.messages import encode_mask
from fedseed.protocols.shared_client import SharedModelClient
from fedseed.protocols.shared_model import Download
from fedseed.seeds.assemble import grow
from fedseed.training import FitJob, FitResult


class MaskClient(SharedModelClient):
    """Learns probabilities, and sends a draw of them."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        result, sample, sizes = self._drawn(download, task)
        return result, encode_mask(sample, sizes)

    def summand(
        self,
        download: Download,
        task: ClientTask,
        weight: int,  # noqa: ARG002
        cohort: int,
    ) -> tuple[FitResult, NDArray[np.int64]]:
        """See :class:`SharedModelClient`: one mask, as every client's."""
        result, sample, _ = self._drawn(download, task)
        return result, pack(sample.astype(np.int64), cohort)

    def _drawn(
        self, download: Download, task: ClientTask
    ) -> tuple[FitResult, NDArray[np.bool_], list[int]]:
        """How training went, a mask, and the lengths of its parts."""
        model, recipe, shard = grow(download.seed), download.recipe, task.shard
        sizes = [part.numel() for part in masked_matrices(model).values()]
        kept = np.clip(probabilities_of(download.body, model), CLIP, 1 - CLIP)
        masked = MaskedModel(
            model, kept, recipe.embedding_multiplier, int(task.rng.integers(2**63))
        )
        result = self.trainer.fit(FitJob(masked, shard.table, shard.whole(), recipe, task.rng))
        sample = np.concatenate([mask.sample() for mask in masked.masks])
        return result, sample.astype(np.bool_), sizes

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return build_model(download.seed, download.body)
