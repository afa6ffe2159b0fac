"""The ``labels`` protocol: federated distillation through labels of public texts.

Down: the seed (later its sha256), a recipe, and from round 2 on the mean of the clients' labels, 8
bits each before coding. Up: soft labels of the public texts, quantised to 8, 4, 2 or 1 bit and
entropy coded. The server keeps the mean. Whoever has the public texts makes a model of a mean: it
fine-tunes the seed's model on them, without anybody's private texts. In later rounds clients start
from that model. An observer learns how each client's model labels texts that everybody knows.

After FedMD (Li and Wang 2019), FedDF (Lin et al. 2020) and CFD (Sattler et al. 2020, arXiv
2012.00632); every client counts alike, as there. One round is one-shot distillation.
``docs/protocols/labels.md`` has the byte layout.
"""

import struct

import numpy as np
from torch import nn

from fedseed.data.public_texts import PublicTexts
from fedseed.data.shard import Shard
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import randomised_response, unbiased_shares
from fedseed.protocols.averaging import Mean
from fedseed.protocols.base import Memory, Protocol, Setup
from fedseed.protocols.shared_model import SharedModelClient, SharedModelServer
from fedseed.protocols.soft_labels import BITS, Probabilities, decode_labels, encode_labels
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import digest
from fedseed.seeds.codec import decode
from fedseed.training import FitJob, FitResult, Trainer

_HEAD = "<BI"
_HEAD_BYTES = struct.calcsize(_HEAD)
_DOWN_BITS = 8


class LabelsServer(SharedModelServer):
    """Averages the clients' labels of the public texts."""

    def __init__(self, setup: Setup) -> None:
        """Start a run; the setup has public texts."""
        super().__init__(setup)
        assert setup.public is not None
        self._public = setup.public
        options = setup.config.protocol_options()
        self._bits, self._steps = int(options["label_bits"]), int(options["distil_steps"])
        self._round = Mean()
        self._labels: Probabilities | None = None
        """Mean labels of the public texts, shape ``(texts, classes)``; None before round 1."""
        self._made: tuple[bytes, nn.Module] | None = None

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: bits, steps of distillation, and the mean labels."""
        head = struct.pack(_HEAD, self._bits, self._steps)
        return head if self._labels is None else head + encode_labels(self._labels, _DOWN_BITS)

    def take(self, examples: int, body: bytes) -> None:  # noqa: ARG002  # all count alike
        """See :class:`SharedModelServer`."""
        labels = decode_labels(body, len(self._public.rows), self.setup.classes)
        self._round.add(labels.reshape(-1), 1)

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
        if self._made is None or self._made[0] != state:
            own = _distilled(
                self.setup.seed, self.setup.recipe, state, self._public, self.setup.trainer
            )
            self._made = state, own
        return self._made[1]

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
        symbols = len(self._public.rows) * (self.setup.classes - 1)
        return symbols + 800, symbols * self._bits // 8 + 800 * (self._bits > 1) + 50


class LabelsClient(SharedModelClient):
    """Trains on its own texts, and labels the public ones."""

    def work(
        self,
        start: tuple[bytes, Recipe, bytes],
        shard: Shard,
        memory: Memory,  # noqa: ARG002  # nothing is kept
        rng: np.random.Generator,
    ) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        seed, recipe, body = start
        bits, public = _read_head(body)[0], self._texts()
        # The public texts are nobody's: DP-SGD is for the client's own.
        plain = self.trainer if self.defence is None else Trainer(self.trainer.compute)
        model = _distilled(seed, recipe, body, public, plain)
        result = self.trainer.fit(FitJob(model, shard.table, shard.whole(), recipe, rng))
        found = self.trainer.predict(model, public.table, public.rows, recipe.max_length)
        if self.defence is not None and self.defence.by_client:
            found = self._randomised(found, bits, rng)
        return result, encode_labels(np.exp(found), bits)

    def _randomised(
        self, found: Probabilities, bits: int, rng: np.random.Generator
    ) -> Probabilities:
        """Log-probabilities, shape ``(texts, classes)``, of labels that have been randomised."""
        assert self.defence is not None
        if bits != 1:
            raise WireError("a client that randomises its labels tells one bit of each")
        classes = found.shape[1]
        told = randomised_response(
            found.argmax(axis=1), self.defence.epsilon_each, classes, rng
        )  # fmt: skip
        return np.where(np.eye(classes, dtype=bool)[told], np.float32(0), np.float32(-np.inf))

    def build(self, seed: bytes, recipe: Recipe, body: bytes) -> nn.Module:
        """See :class:`SharedModelClient`."""
        return _distilled(seed, recipe, body, self._texts(), self.trainer)

    def _texts(self) -> PublicTexts:
        if self.public is None:
            raise WireError("this client has no public texts: give it --public")
        return self.public


def _read_head(body: bytes) -> tuple[int, int]:
    """Bits of a label, and steps of distillation."""
    if len(body) < _HEAD_BYTES:
        raise WireError("the download names no bits")
    bits, steps = struct.unpack_from(_HEAD, body)
    if bits not in BITS or not 0 < steps <= 1_000_000:
        raise WireError(f"labels of {bits} bits, {steps} steps of distillation")
    return bits, steps


def _distilled(
    seed: bytes, recipe: Recipe, body: bytes, public: PublicTexts, trainer: Trainer
) -> nn.Module:
    """The seed's model, fine-tuned on the public texts with the labels that a body holds, if any.

    The order of the texts depends on the seed alone, so that everybody makes the same model.
    """
    _, steps = _read_head(body)
    model, coded = grow(seed), body[_HEAD_BYTES:]
    if coded:
        labels = decode_labels(coded, len(public.rows), decode(seed).labels)
        own = recipe.replace(steps=steps, label_smoothing=0.0)
        rng = generator(int.from_bytes(digest(seed)[:6], "little"), "distil")
        trainer.fit(FitJob(model, public.labelled(labels), public.rows, own, rng))
    return model


PROTOCOL = Protocol(LabelsServer, LabelsClient)
