"""The client side of ``labels``: trains on its own texts, and labels the public ones."""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.coding.packing import pack
from fedseed.data.public_texts import PublicTexts
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import randomised_response
from fedseed.protocols.base import ClientTask
from fedseed.protocols.labels.distillation import distilled, read_head
from fedseed.protocols.labels.messages import (
    decode_labels,
    encode_labels,
    levels_of,
    to_levels,
)
from fedseed.protocols.labels.soft_labels import Probabilities
from fedseed.protocols.shared_client import SharedModelClient
from fedseed.protocols.shared_model import Download
from fedseed.training import FitJob, FitResult


class LabelsClient(SharedModelClient):
    """Trains on its own texts, and labels the public ones."""

    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        result, probabilities, bits = self._labelled(download, task)
        return result, encode_labels(probabilities, bits)

    def summand(
        self,
        download: Download,
        task: ClientTask,
        weight: int,  # noqa: ARG002
        cohort: int,
    ) -> tuple[FitResult, NDArray[np.int64]]:
        """See :class:`SharedModelClient`: what would be read of a contribution, all alike."""
        result, probabilities, bits = self._labelled(download, task)
        sent = encode_labels(probabilities, bits)
        read = decode_labels(sent, *probabilities.shape)
        largest = cohort * levels_of(bits, read.shape[1])
        return result, pack(to_levels(read, bits), largest)

    def _labelled(
        self, download: Download, task: ClientTask
    ) -> tuple[FitResult, Probabilities, int]:
        """How training went, class probabilities of the public texts, and bits of each."""
        recipe, shard, public = download.recipe, task.shard, self._texts()
        bits, _, _ = read_head(download.body)
        # The public texts are nobody's: DP-SGD is for the client's own.
        plain = self.trainer if self.defence is None else self.trainer.plain()
        model = distilled(download.seed, recipe, download.body, public, plain)
        result = self.trainer.fit(FitJob(model, shard.table, shard.whole(), recipe, task.rng))
        log_probabilities = self.trainer.predict(
            model, public.table, public.rows, recipe.max_length
        )
        if self.defence is not None and self.defence.by_client:
            log_probabilities = self._randomised(log_probabilities, bits, task.rng)
        return result, np.exp(log_probabilities), bits

    def _randomised(
        self, log_probabilities: Probabilities, bits: int, rng: np.random.Generator
    ) -> Probabilities:
        """Log-probabilities, shape ``(texts, classes)``, of labels that have been randomised."""
        assert self.defence is not None
        if bits != 1:
            raise WireError("a client that randomises its labels sends one bit of each")
        classes = log_probabilities.shape[1]
        labels = randomised_response(
            log_probabilities.argmax(axis=1), self.defence.epsilon_each, classes, rng
        )
        chosen = np.eye(classes, dtype=bool)[labels]
        return np.where(chosen, np.float32(0), np.float32(-np.inf))

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return distilled(download.seed, download.recipe, download.body, self._texts(), self.trainer)

    def _texts(self) -> PublicTexts:
        if self.public is None:
            raise WireError("this client has no public texts: give it --public")
        return self.public
