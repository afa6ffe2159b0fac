"""Zeroth-order training: two losses a step and no gradient, along directions with numbers.

A direction is a vector of +1 and -1 over the weights that are trained, drawn from a key and a
number by Philox4x64-10 (Salmon et al. 2011), so that whoever has both has the direction. A step
along direction z moves the weights by ``-rate * slope * z``, where the slope is the central
difference ``(L(w + REACH z) - L(w - REACH z)) / (2 REACH)`` (Spall 1992, simultaneous perturbation;
Malladi et al. 2023, MeZO, on fine-tuning). Where training ends is told by the sum of the moves
along each direction: one number a direction (Qin et al. 2023, FedKSeed).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fedseed.data.splits import Rows
from fedseed.models.bert import BertClassifier
from fedseed.training.batches import batches, chunks, longest_first
from fedseed.training.compute import Compute
from fedseed.training.fit import FitJob, FitResult
from fedseed.training.generic import GenericPredictor

REACH = 1e-4
"""How far from the weights, along a direction, the two losses are taken: epsilon."""
LARGEST = 100.0
"""A sum of moves beyond this is not believed; training that gets there has diverged."""
_HEADS = ("classifier", "score")
_TOKENS_AT_ONCE = 2048
Scalars = NDArray[np.float32]
"""The sum of the moves along each direction, shape ``(directions,)``."""

_SIGNS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_SIGNS_OF_BYTE = _SIGNS.astype(np.float32) * 2 - 1


@dataclass(frozen=True)
class Directions:
    """Directions 0 to ``count - 1`` of one run."""

    key: int
    """In [0, 2**64)."""
    count: int

    def packed(self, number: int, size: int) -> NDArray[np.uint8]:
        """One direction, a bit a weight: 1 is +1, lowest bit first.

        Args:
            number: which direction.
            size: number of weights.

        Returns:
            Shape ``(8 * ceil(size / 64),)``: the bytes of Philox's words, little-endian. The key's
            low half is :attr:`key`, its high half the first eight bytes of
            ``sha256("direction/NUMBER")``, little-endian; the first block's counter is 1.
        """
        name = hashlib.sha256(f"direction/{number}".encode()).digest()
        high = int.from_bytes(name[:8], "little")
        bits = np.random.Philox(key=np.array([self.key, high], dtype=np.uint64), counter=0)
        return bits.random_raw(-(-size // 64)).astype("<u8", copy=False).view(np.uint8)

    def signs(self, number: int, size: int) -> NDArray[np.float32]:
        """One direction as +1 and -1, shape ``(size,)``; see :meth:`packed`."""
        packed = self.packed(number, size)
        whole = np.empty((len(packed), 8), dtype=np.float32)
        np.take(_SIGNS_OF_BYTE, packed, axis=0, out=whole, mode="clip")
        return whole.reshape(-1)[:size]


def is_trainable(name: str, head: bool) -> bool:
    """Whether a weight of that name is trained: every one, or those of the classification head.

    Args:
        name: the weight's name in its module.
        head: only what belongs to a top-level module named ``classifier`` or ``score``.
    """
    return not head or name.partition(".")[0] in _HEADS


def _trainable(model: nn.Module, head: bool) -> list[nn.Parameter]:
    return [part for name, part in model.named_parameters() if is_trainable(name, head)]


def _places(parts: Sequence[nn.Parameter]) -> list[slice]:
    """Where each weight lies when all lie end to end."""
    ends = np.cumsum([part.numel() for part in parts]).tolist()
    return [slice(end - part.numel(), end) for part, end in zip(parts, ends, strict=True)]


def displace(model: nn.Module, head: bool, directions: Directions, scalars: Scalars) -> None:
    """Move a model's trainable weights by ``sum over k of scalars[k] * direction k``, in place.

    The sum is made in fp32 in the order of the directions and then added to the weights. A product
    with +1 or -1 is exact, so the result has the same bits on every machine.

    Args:
        model: a module on the CPU.
        head: see :func:`is_trainable`.
        directions: the run's.
        scalars: shape ``(directions.count,)``.
    """
    parts = _trainable(model, head)
    total = np.zeros(sum(part.numel() for part in parts), dtype=np.float32)
    for number in np.flatnonzero(scalars):
        total += scalars[number] * directions.signs(int(number), len(total))
    moves = torch.from_numpy(total)
    with torch.no_grad():
        for part, place in zip(parts, _places(parts), strict=True):
            part.add_(moves[place].view(part.shape))


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
        parts = _trainable(job.model, head)
        self._weights = torch.cat([part.detach().reshape(-1) for part in parts])
        self._work = self._weights.clone()
        for part, place in zip(parts, _places(parts), strict=True):
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
        sizes = table.lengths(rows, length)
        order = longest_first(sizes)
        self._pieces = []
        for chunk in chunks(sizes[order], _TOKENS_AT_ONCE):
            own = rows[order[chunk]]
            ids, lengths = table.padded(own, length)
            inputs = torch.from_numpy(ids), torch.from_numpy(lengths)
            self._pieces.append((self._targets(own), *(part.to(self._device) for part in inputs)))

    def _targets(self, rows: Rows) -> Tensor:
        """Class numbers, or class probabilities in fp64."""
        table = self.job.table
        known = table.labels[rows] if table.soft is None else table.soft[rows].astype(np.float64)
        return torch.from_numpy(known).to(self._device)

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
        return self._logits(*inputs)

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


def walk(surface: LossSurface, directions: Directions) -> tuple[FitResult, Scalars]:
    """Train a surface's module in place; the same inputs give the same bits at one thread.

    Every step draws a batch and a direction. The recipe gives the steps, batches, rates (schedule
    and warm-up) and label smoothing; optimiser, decay, dropout and the embedding's multiplier have
    no meaning here. Training ends when a loss is not finite or a sum of moves not believable; the
    step that leads there is not taken.

    Args:
        surface: the module, its texts and its recipe.
        directions: the run's.

    Returns:
        How it went, and where it led: the sum of the moves along each direction.
    """
    job, recipe = surface.job, surface.job.recipe
    order = batches(job.rows, recipe.batch_size, job.rng)
    sums = np.zeros(directions.count)
    losses: list[float] = []
    diverged = False
    with torch.inference_mode():
        for step in range(recipe.steps):
            surface.see(next(order))
            number = int(job.rng.integers(directions.count))
            direction = surface.direction(directions, number)
            above, below = surface.loss(direction, REACH), surface.loss(direction, -REACH)
            move = -recipe.rate(step) * (above - below) / (2 * REACH)
            losses.append((above + below) / 2)
            if not abs(sums[number] + move) <= LARGEST:  # nor if it is not a number
                diverged = True
                break
            sums[number] += move
            surface.move(direction, move)
        surface.finish()
    tail = losses[-max(1, len(losses) // 10) :]
    mean = float(np.mean(tail)) if tail else math.nan
    return FitResult(len(losses), mean, diverged), sums.astype(np.float32)


def make_surface(
    job: FitJob, head: bool, compute: Compute, kept: NDArray[np.float32] | None = None
) -> LossSurface:
    """The surface of a job; of a frozen BERT the fast one, to which ``kept`` belongs."""
    if head and isinstance(job.model, BertClassifier):
        return HeadSurface(job, compute, kept)
    return LossSurface(job, head, compute)


def has_head(names: Sequence[str]) -> bool:
    """Whether weights of these names include a classification head."""
    return any(is_trainable(name, True) for name in names)
