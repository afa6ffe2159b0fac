"""The loss of a batch as a function of the weights, without gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fedseed.data.splits import Rows
from fedseed.models.bert import BertClassifier
from fedseed.training.batches import padded_chunks
from fedseed.training.fit import FitJob
from fedseed.training.generic import GenericPredictor
from fedseed.training.losses import labels_of
from fedseed.training.precision_and_device import Compute
from fedseed.training.zeroth_order.directions import Directions, places, trainable

_TOKENS_AT_ONCE = 2048


class LossSurface:
    """The loss of a batch as a function of a module's trainable weights, always in fp32.

    The losses of a step differ by some ten-thousandths, which bf16 cannot tell apart; they are
    summed in fp64. The module's weights lie end to end in one array while this is in use.
    """

    def __init__(self, job: FitJob, head: bool, compute: Compute) -> None:
        """Take over a job's module.

        Args:
            job: the module, its texts and its recipe.
            head: see :func:`is_trainable`.
            compute: the device.
        """
        self.job = job
        self._device = torch.device(compute.device)
        self._logits = GenericPredictor(job.model, Compute("fp32", compute.device))
        parts = trainable(job.model, head)
        self._weights = torch.cat([part.detach().reshape(-1) for part in parts])
        self._work = self._weights.clone()
        for part, place in zip(parts, places(parts), strict=True):
            part.data = self._work[place].view(part.shape)
        self._pieces: list[tuple[Tensor, ...]] = []

    @property
    def size(self) -> int:
        """Number of trainable weights."""
        return self._weights.numel()

    def direction(self, directions: Directions, number: int) -> Tensor:
        """One direction over the trainable weights, on their device."""
        return torch.from_numpy(directions.signs(number, self.size)).to(self._device)

    def see(self, rows: Rows) -> None:
        """Take a batch."""
        table, length = self.job.table, self.job.recipe.max_length
        self._pieces = []
        for texts, *inputs in padded_chunks(table, rows, length, _TOKENS_AT_ONCE):
            on_device = (part.to(self._device) for part in inputs)
            self._pieces.append((self._targets(texts), *on_device))

    def _targets(self, rows: Rows) -> Tensor:
        """Class numbers, or class probabilities in fp64."""
        labels = labels_of(self.job.table, rows)
        if self.job.table.soft is not None:
            labels = labels.astype(np.float64)
        return torch.from_numpy(labels).to(self._device)

    def loss(self, direction: Tensor, reach: float) -> float:
        """Mean loss of the batch at ``weights + reach * direction``, nats."""
        torch.add(self._weights, direction, alpha=reach, out=self._work)
        smoothing = self.job.recipe.label_smoothing
        total, texts = 0.0, 0
        for targets, *inputs in self._pieces:
            logits = self.forward(inputs).double()
            loss = functional.cross_entropy(
                logits, targets, label_smoothing=smoothing, reduction="sum"
            )
            total, texts = total + float(loss), texts + len(logits)
        return total / texts

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits of one piece of the batch, shape ``(texts, classes)``."""
        ids, lengths = inputs
        return self._logits(ids, lengths)

    def move(self, direction: Tensor, by: float) -> None:
        """Move the weights."""
        self._weights.add_(direction, alpha=by)

    def finish(self) -> None:
        """Leave the weights in the module, and the module on the CPU."""
        self._work.copy_(self._weights)
        self.job.model.to("cpu")


class HeadSurface(LossSurface):
    """That of a BERT whose body is frozen: each text passes the body once.

    A text goes through alone, without padding: its features depend on no other text, so that it
    makes no difference to any bit whether they are computed now or were kept from another round.
    """

    def __init__(self, job: FitJob, compute: Compute, kept: NDArray[np.float32] | None) -> None:
        """Take over a job's module.

        Args:
            job: a :class:`BertClassifier`, its texts and its recipe.
            compute: precision of the body, and the device.
            kept: :attr:`features` of an earlier round, which are added to; None in the first.
        """
        super().__init__(job, True, compute)
        assert isinstance(job.model, BertClassifier)
        self._head = job.model.classifier
        shape = len(job.rows), self._head.weight.shape[1]
        self.features = np.full(shape, np.nan, "<f4") if kept is None else kept.reshape(shape)
        """Pooled states of the job's rows, shape ``(rows, hidden)``; nan where not yet known."""
        self._places = {int(row): place for place, row in enumerate(job.rows)}
        self._body = GenericPredictor(job.model, Compute(compute.precision, compute.device))

    def see(self, rows: Rows) -> None:
        """See :class:`LossSurface`: the features that are missing are computed."""
        places = [self._places[int(row)] for row in rows]
        for row, place in zip(rows, places, strict=True):
            if np.isnan(self.features[place, 0]):
                self.features[place] = self._pooled(row)
        features = torch.from_numpy(self.features[places]).to(self._device)
        self._pieces = [(self._targets(rows), features.double())]

    def _pooled(self, row: int) -> NDArray[np.float32]:
        """What the head is given for one text."""
        caught: list[Tensor] = []
        hook = self._head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        try:
            ids, lengths = self.job.table.padded(np.array([row]), self.job.recipe.max_length)
            self._body(torch.from_numpy(ids), torch.from_numpy(lengths))
        finally:
            hook.remove()
        pooled: NDArray[np.float32] = caught[0][0].float().cpu().numpy()
        return pooled

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """See :class:`LossSurface`: in fp64."""
        head = self._head
        return functional.linear(inputs[0], head.weight.double(), head.bias.double())


def make_surface(
    job: FitJob, head: bool, compute: Compute, kept: NDArray[np.float32] | None = None
) -> LossSurface:
    """The surface of a job; of a frozen BERT the fast one, to which ``kept`` belongs."""
    if head and isinstance(job.model, BertClassifier):
        return HeadSurface(job, compute, kept)
    return LossSurface(job, head, compute)
