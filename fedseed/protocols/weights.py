"""The ``weights`` protocol: federated averaging (McMahan et al. 2017, algorithm 1).

Down: the seed, which names the architecture and is the start (later its sha256), a recipe, the
codec, and from round 2 on the server's weights: in fp32 or fp16 as they are; under int8 and topk
what they have changed since the seed. Up: the number of examples, the training loss and the
weights, or what training changed in them; under int8 and topk the client keeps what the codec lost
and adds it to its next change (error feedback). The server keeps the aggregated weights. An
observer learns each client's weights after training, more or less exactly, from which much about
its texts can be computed. ``docs/protocols/weights.md`` has the byte layout.
"""

import struct

import numpy as np
from torch import nn

from fedseed.data.shard import Shard
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import noisy_vector
from fedseed.protocols.base import Memory, Protocol, Setup
from fedseed.protocols.codecs import Codec, Vector, believable, codec_of, make_codec
from fedseed.protocols.shared_model import SharedModelClient, SharedModelServer, flat_weights
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow, grow_with, tensor_sizes
from fedseed.training import FitJob, FitResult

_CODEC = "<Bf"
_CODEC_BYTES = struct.calcsize(_CODEC)
_RESIDUAL = "residual"


class WeightsServer(SharedModelServer):
    """Aggregates weights, by default in proportion to the clients' examples."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        super().__init__(setup)
        options = setup.config.protocol_options()
        self._keep = float(options["keep"])
        self._codec = make_codec(options["codec"], self._keep)
        self._sizes = [int(np.prod(shape)) for shape in setup.shapes.values()]
        self._aggregator = setup.aggregator()
        self._weights: Vector | None = None
        """The server's weights; None before the first round has ended."""

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: the codec, and the weights after round 1."""
        head = struct.pack(_CODEC, self._codec.number, self._keep)
        if self._weights is None:
            return head
        vector = self._weights
        if self._codec.sends_changes:
            vector = vector - flat_weights(grow(self.setup.seed))
        return head + self._codec.down.encode(vector, self._sizes)

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._aggregator.add(self._codec.decode(body, self._sizes), examples)

    def finish_round(self, round_number: int) -> None:
        """See :class:`SharedModelServer`.

        Under a codec of changes the weights move by the aggregated change. What the codec loses on
        the way down stays in them, and so in the next state: error feedback of the server.
        """
        start = self._weights
        if start is None:
            start = flat_weights(grow(self.setup.seed))
        if self._codec.sends_changes:
            change = self._aggregator.finish(np.zeros_like(start), round_number)
            self._weights = start + change
        else:
            self._weights = self._aggregator.finish(start, round_number)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what a client is sent."""
        return _build(self.setup.seed, self.state())

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        own = b"" if self._weights is None else self._weights.astype("<f4").tobytes()
        return struct.pack("<Q", len(own)) + own + self._aggregator.save()

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        if len(data) < 8:
            raise WireError("the checkpoint is truncated")
        length = struct.unpack_from("<Q", data)[0]
        if length not in (0, 4 * self.setup.parameters) or len(data) < 8 + length:
            raise WireError("the checkpoint is of another model")
        weights = believable(np.frombuffer(data[8 : 8 + length], "<f4"))
        self._aggregator.load(data[8 + length :])
        self._weights = weights.copy() if length else None

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        count = self.setup.parameters
        return _CODEC_BYTES + self._codec.down.estimate(count), self._codec.estimate(count)


def _read(body: bytes) -> tuple[Codec, bytes]:
    """The codec that the server names, and what follows."""
    if len(body) < _CODEC_BYTES:
        raise WireError("the download names no codec")
    return codec_of(*struct.unpack_from(_CODEC, body)), body[_CODEC_BYTES:]


def _build(seed: bytes, body: bytes) -> nn.Module:
    codec, coded = _read(body)
    if not coded:
        return grow(seed)
    vector = codec.down.decode(coded, tensor_sizes(seed))
    if codec.sends_changes:
        vector = vector + flat_weights(grow(seed))
    return grow_with(seed, vector)


class WeightsClient(SharedModelClient):
    """Trains from the server's weights, and sends its own or what it changed."""

    def work(
        self,
        start: tuple[bytes, Recipe, bytes],
        shard: Shard,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        seed, recipe, body = start
        codec, _ = _read(body)
        model = _build(seed, body)
        private = self.defence is not None and self.defence.by_client
        before = flat_weights(model) if codec.sends_changes or private else None
        result = self.trainer.fit(FitJob(model, shard.table, shard.whole(), recipe, rng))
        vector = flat_weights(model)
        sizes = [part.numel() for part in model.parameters()]
        if before is None:
            return result, codec.encode(vector, sizes)
        if private:
            return result, codec.encode(before + self._noisy(vector - before, codec, rng), sizes)
        kept = np.frombuffer(memory.get(_RESIDUAL, b""), "<f2").astype(np.float32)
        change = vector - before + (kept if len(kept) == len(vector) else np.float32(0))
        coded = codec.encode(change, sizes)
        lost = change - codec.decode(coded, sizes)
        memory[_RESIDUAL] = lost.astype("<f2").tobytes()
        return result, coded

    def _noisy(self, change: Vector, codec: Codec, rng: np.random.Generator) -> Vector:
        """A change as it may leave when all of the client's examples are protected."""
        assert self.defence is not None
        if codec.sends_changes:
            raise WireError("a client that noises what it sends takes codec fp32 or fp16 only")
        return noisy_vector(change, self.defence.clip, self.defence.noise, rng)

    def build(self, seed: bytes, recipe: Recipe, body: bytes) -> nn.Module:  # noqa: ARG002
        """See :class:`SharedModelClient`."""
        return _build(seed, body)


PROTOCOL = Protocol(WeightsServer, WeightsClient)
