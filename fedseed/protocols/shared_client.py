"""The client side of protocols whose server ends with a model: messages, limits, and the work.

:mod:`fedseed.protocols.shared_model` has the server side, and what travels.
"""

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols.base import ClientTask, ProtocolClient
from fedseed.protocols.shared_model import Download, decode_download, encode_contribution
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.training import FitJob, FitResult


class SharedModelClient(ProtocolClient):
    """Trains from the server's state, and sends what the protocol sends."""

    trains = True
    """Whether a round's work is training, of the steps that the recipe asks for."""

    @abstractmethod
    def work(self, download: Download, task: ClientTask) -> tuple[FitResult, bytes]:
        """Do one round's work on all of the shard's rows.

        Returns:
            How training went, and the body that goes up.

        Raises:
            WireError: the body cannot be decoded.
        """

    @abstractmethod
    def build(self, download: Download) -> nn.Module:
        """The model that a state of the server stands for.

        Raises:
            WireError: the body cannot be decoded.
        """

    def contribute(self, task: ClientTask) -> bytes:
        """See :class:`ProtocolClient`. All examples are trained on: nothing is validated."""
        download = self._downloaded(task)
        result, body = self.work(download, task)
        steps = self._told_steps(download, result)
        if self._is_private:
            # How many examples there are and how well they were learnt is private: all clients
            # count alike, and report what they were asked for.
            return encode_contribution(1, FitResult(steps, math.nan, False), body)
        return encode_contribution(len(task.shard.whole()), result, body)

    def summand(
        self, download: Download, task: ClientTask, weight: int, cohort: int
    ) -> tuple[FitResult, NDArray[np.int64]]:
        """Do one round's work as :meth:`work`, for a sum.

        Args:
            download: what came down.
            task: the client's.
            weight: the client's examples; 1 under privacy.
            cohort: the most clients whose vectors are added up.

        Returns:
            How training went, and whole numbers of shape ``(body_length,)``, from whose sum the
            server knows the aggregate.

        Raises:
            WireError: the body cannot be decoded.
        """
        raise NotImplementedError

    def addend(self, task: ClientTask, cohort: int) -> Words:
        """See :class:`ProtocolClient`."""
        download = self._downloaded(task)
        weight = 1 if self._is_private else len(task.shard.whole())
        result, numbers = self.summand(download, task, weight, cohort)
        steps = self._told_steps(download, result)
        vector = np.concatenate([np.array([weight, steps], np.int64), numbers])
        return vector.astype(np.uint32)  # modulo 2 ** 32, negative ones too

    def _told_steps(self, download: Download, result: FitResult) -> int:
        """Under privacy those that were asked for: when training ended is private."""
        return download.recipe.steps if self._is_private and self.trains else result.steps

    def _downloaded(self, task: ClientTask) -> Download:
        """What came down, unless it asks for more than the privacy budget covers."""
        download = decode_download(task.payload, task.memory, self.architecture)
        if self._is_private and self.defence:
            _refuse_costly(download.recipe, self.defence)
        return download

    @property
    def _is_private(self) -> bool:
        return self.defence is not None and self.defence.unit is not None

    def grow(self, task: ClientTask) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        download = decode_download(task.payload, task.memory, self.architecture)
        recipe, rows = download.recipe, task.shard.whole()
        if download.body:
            return self.build(download), recipe.max_length
        model = grow(download.seed)  # what was given: a seed and a recipe, to train alone
        self.trainer.fit(FitJob(model, task.shard.table, rows, recipe, task.rng))
        return model, recipe.max_length


def _refuse_costly(recipe: Recipe, defence: Defence) -> None:
    """Refuse what the privacy budget does not cover."""
    if recipe.steps > defence.most_steps:
        raise WireError(f"{recipe.steps} steps are more than the privacy budget covers")
    if defence.most_batch is not None and recipe.batch_size > defence.most_batch:
        raise WireError(f"batches of {recipe.batch_size} are more than the privacy budget covers")
