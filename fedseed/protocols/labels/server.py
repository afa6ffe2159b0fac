"""The server side of ``labels``: federated distillation through labels of public texts.

Down: the seed (later its sha256), a recipe, and from round 2 on the mean of the clients' labels, 8
bits each before coding. Up: soft labels of the public texts, quantised to 8, 4, 2 or 1 bit and
entropy coded. The server keeps the mean. Whoever has the public texts makes a model of a mean: it
fine-tunes the seed's model on them, without anybody's private texts. In later rounds clients start
from that model. An observer learns how each client's model labels texts that everybody knows.

After FedMD (Li and Wang 2019), FedDF (Lin et al. 2020) and CFD (Sattler et al. 2020, arXiv
2012.00632); every client counts alike, as there. One round is one-shot distillation.
``docs/protocols/labels.md`` has the byte layout.
"""

import numpy as np
from torch import nn

from fedseed.coding.packing import packed_length, unpack
from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import unbiased_shares
from fedseed.protocols.base import Setup
from fedseed.protocols.fedavg import FedAvg
from fedseed.protocols.labels import LabelsOptions
from fedseed.protocols.labels.distillation import distilled, encode_head
from fedseed.protocols.labels.messages import (
    decode_labels,
    encode_labels,
    estimated_labels,
    from_levels,
    levels_of,
)
from fedseed.protocols.labels.soft_labels import Probabilities
from fedseed.protocols.shared_model import SharedModelServer

_DOWN_BITS = 8


class LabelsServer(SharedModelServer):
    """Averages the clients' labels of the public texts."""

    def __init__(self, setup: Setup) -> None:
        """Start a run; the setup has public texts."""
        super().__init__(setup)
        assert setup.public is not None
        assert isinstance(setup.options, LabelsOptions)
        self._public = setup.public
        self._bits, self._steps = setup.options.label_bits, setup.options.distil_steps
        self._round = FedAvg()
        self._labels: Probabilities | None = None
        """Mean labels of the public texts, shape ``(texts, classes)``; None before round 1."""
        self._distilled: tuple[bytes, nn.Module] | None = None
        """The state that a model was made of last, and the model."""

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: bits, steps of distillation, and the mean labels."""
        head = encode_head(self._bits, self._steps)
        return head if self._labels is None else head + encode_labels(self._labels, _DOWN_BITS)

    def take(self, examples: int, body: bytes) -> None:  # noqa: ARG002  # all count alike
        """See :class:`SharedModelServer`."""
        labels = decode_labels(body, len(self._public.rows), self.setup.classes)
        self._round.add(labels.reshape(-1), 1)

    def body_length(self) -> int:
        """See :class:`SharedModelServer`: a level of each probability that is told."""
        return packed_length(self._numbers, self._largest)

    @property
    def _numbers(self) -> int:
        classes = self.setup.classes
        return len(self._public.rows) * (1 if classes == 2 else classes)

    @property
    def _largest(self) -> int:
        return self.setup.cohort_size * levels_of(self._bits, self.setup.classes)

    def take_sum(self, examples: int, total: Words, clients: int) -> None:  # noqa: ARG002
        """See :class:`SharedModelServer`."""
        levels = unpack(total, self._numbers, self._largest)
        if levels.max(initial=0) > clients * levels_of(self._bits, self.setup.classes):
            raise WireError("not believable: probabilities above 1")
        mean = from_levels(levels, self.setup.classes, self._bits, clients)
        self._round.add(mean.reshape(-1), 1)

    def finish_round(self, round_number: int) -> None:
        """See :class:`SharedModelServer`."""
        nothing = np.zeros(len(self._public.rows) * self.setup.classes, dtype=np.float32)
        mean = self._round.finish(nothing, round_number)
        self._labels = mean.reshape(-1, self.setup.classes)
        defence = self.setup.defence
        if defence is not None and defence.by_client:  # the labels came by randomised response
            self._labels = unbiased_shares(self._labels, defence.epsilon_each)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what anybody makes of the mean labels."""
        state = self.state()
        if self._distilled is None or self._distilled[0] != state:
            setup = self.setup
            model = distilled(setup.seed, setup.recipe, state, self._public, setup.trainer)
            self._distilled = state, model
        return self._distilled[1]

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return b"" if self._labels is None else bytes(self._labels.astype("<f4").tobytes())

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        shape = len(self._public.rows), self.setup.classes
        if len(data) not in (0, 4 * shape[0] * shape[1]):
            raise WireError("the checkpoint is of other public texts")
        self._labels = np.frombuffer(data, "<f4").reshape(shape).copy() if data else None

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        texts, classes = len(self._public.rows), self.setup.classes
        down, up = (estimated_labels(texts, classes, bits) for bits in (_DOWN_BITS, self._bits))
        return down, up
