"""The ``scalars`` protocol: zeroth-order training, of which only scalars travel.

FedKSeed (Qin et al. 2023, arXiv 2312.06353) and DeComFL (Li et al. 2024, arXiv 2405.15861).

Down: the seed (later its sha256), a recipe, which weights are trained, the number of directions,
and for each direction how far the run has gone along it since the seed. A direction is drawn from
the seed's digest and its number (:mod:`fedseed.training.zeroth_order`), so that everybody rebuilds
``w = w_seed + sum over k of a_k z_k``. Up: the number of examples, the steps, the training loss,
and for each direction how far the client's steps went along it. Kept: the server keeps the sums,
and a client whose body is frozen its texts' features. An observer who has the seed rebuilds each
client's weights after training, as under ``weights``; but all that they say about its texts is in
those few numbers.
``docs/protocols/scalars.md`` has the byte layout.
"""

import struct

import numpy as np
from torch import nn

from fedseed.data.shard import Shard
from fedseed.errors import ConfigError, WireError
from fedseed.protocols.base import Memory, Protocol, Setup
from fedseed.protocols.shared_model import SharedModelClient, SharedModelServer
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import digest
from fedseed.training import FitJob, FitResult
from fedseed.training.zeroth_order import (
    LARGEST,
    Directions,
    HeadSurface,
    Scalars,
    displace,
    has_head,
    make_surface,
    walk,
)

_TRAINABLE = ("all", "head")
_STATE = "<BH"
_STATE_BYTES = struct.calcsize(_STATE)
_DENSE, _SPARSE = 0, 1
_COUNT = "<H"
_COUNT_BYTES = struct.calcsize(_COUNT)
_ENTRY_BYTES = 6
_FEATURES = "features"


def encode_scalars(scalars: Scalars) -> bytes:
    """Bytes of one number for each direction: all, or those that are not zero, if that is shorter.

    Args:
        scalars: shape ``(directions,)``, at most 65,535 of them.
    """
    places = np.flatnonzero(scalars)
    if _COUNT_BYTES + _ENTRY_BYTES * len(places) >= 4 * len(scalars):
        return bytes([_DENSE]) + scalars.astype("<f4").tobytes()
    head = bytes([_SPARSE]) + struct.pack(_COUNT, len(places))
    return head + places.astype("<u2").tobytes() + scalars[places].astype("<f4").tobytes()


def decode_scalars(data: bytes, count: int) -> Scalars:
    """Read one number for each of ``count`` directions.

    Raises:
        WireError: malformed bytes, or numbers that are not finite or beyond ``LARGEST``.
    """
    if data[:1] == bytes([_DENSE]) and len(data) == 1 + 4 * count:
        scalars = np.frombuffer(data[1:], "<f4").astype(np.float32)
    elif data[:1] == bytes([_SPARSE]):
        scalars = _decode_sparse(data[1:], count)
    else:
        raise WireError(f"{len(data)} bytes are not the scalars of {count} directions")
    if not np.all(np.abs(scalars) <= LARGEST):  # what is not a number is not
        raise WireError(f"not believable: scalars that are not finite or beyond {LARGEST:g}")
    return scalars


def _decode_sparse(data: bytes, count: int) -> Scalars:
    given = struct.unpack_from(_COUNT, data)[0] if len(data) >= _COUNT_BYTES else count + 1
    middle = _COUNT_BYTES + 2 * given
    if given > count or len(data) != _COUNT_BYTES + _ENTRY_BYTES * given:
        raise WireError("the scalars are truncated, or too many")
    places = np.frombuffer(data[_COUNT_BYTES:middle], "<u2").astype(np.int64)
    if np.any(np.diff(places) <= 0) or np.any(places >= count):
        raise WireError("the scalars' directions are not in order, or there are no such")
    scalars = np.zeros(count, dtype=np.float32)
    scalars[places] = np.frombuffer(data[middle:], "<f4")
    return scalars


def directions_of(seed: bytes, count: int) -> Directions:
    """The directions of a run: their key is the first eight bytes of the seed's sha256.

    Args:
        seed: the encoded seed.
        count: how many there are.
    """
    return Directions(int.from_bytes(digest(seed)[:8], "little"), count)


def _encode_state(head: bool, scalars: Scalars) -> bytes:
    return struct.pack(_STATE, head, len(scalars)) + encode_scalars(scalars)


def _decode_state(body: bytes) -> tuple[bool, Scalars]:
    """Whether only the head is trained, and how far the run has gone along each direction."""
    if len(body) < _STATE_BYTES:
        raise WireError("the download does not say which directions there are")
    head, count = struct.unpack_from(_STATE, body)
    if head >= len(_TRAINABLE) or count == 0:
        raise WireError(f"{count} directions of kind {head} are not known")
    return bool(head), decode_scalars(body[_STATE_BYTES:], count)


def _build(seed: bytes, head: bool, scalars: Scalars) -> nn.Module:
    """The model that a state of the server stands for."""
    model = grow(seed)
    if head and not has_head([name for name, _ in model.named_parameters()]):
        raise WireError("the download asks for a head that the model does not have")
    displace(model, head, directions_of(seed, len(scalars)), scalars)
    return model


class ScalarsServer(SharedModelServer):
    """Aggregates the clients' walks, by default in proportion to their examples."""

    def __init__(self, setup: Setup) -> None:
        """Start a run.

        Raises:
            ConfigError: only the head is to be trained, and the model has none that is known.
        """
        super().__init__(setup)
        options = setup.config.protocol_options()
        self._head = options["trainable"] == "head"
        if self._head and not has_head(list(setup.shapes)):
            raise ConfigError(
                f"{setup.config.model} has no module named classifier or score: leave out "
                "--trainable"
            )
        self._aggregator = setup.aggregator()
        self._scalars: Scalars = np.zeros(int(options["perturbations"]), dtype=np.float32)
        """How far the run has gone along each direction since the seed."""

    def state(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return _encode_state(self._head, self._scalars)

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._aggregator.add(decode_scalars(body, len(self._scalars)), examples)

    def finish_round(self, round_number: int) -> None:
        """See :class:`SharedModelServer`: the run goes where the clients went, on average."""
        step = self._aggregator.finish(np.zeros_like(self._scalars), round_number)
        self._scalars = np.clip(self._scalars + step, -LARGEST, LARGEST).astype(np.float32)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`."""
        return _build(self.setup.seed, self._head, self._scalars)

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return bytes(self._scalars.astype("<f4").tobytes()) + self._aggregator.save()

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        end = 4 * len(self._scalars)
        scalars = decode_scalars(bytes([_DENSE]) + data[:end], len(self._scalars))
        self._aggregator.load(data[end:])
        self._scalars = scalars

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        count = len(self._scalars)
        walked = _COUNT_BYTES + _ENTRY_BYTES * min(count, self.setup.recipe.steps)
        return _STATE_BYTES + 1 + 4 * count, 1 + min(4 * count, walked)


class ScalarsClient(SharedModelClient):
    """Walks along directions, and sends how far."""

    def work(
        self,
        start: tuple[bytes, Recipe, bytes],
        shard: Shard,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        seed, recipe, body = start
        head, scalars = _decode_state(body)
        job = FitJob(_build(seed, head, scalars), shard.table, shard.whole(), recipe, rng)
        # Features belong to a body and to how much of a text it was given.
        owner = digest(seed + struct.pack("<I", recipe.max_length))
        kept = memory.get(_FEATURES, b"")
        features = None
        if kept.startswith(owner):
            features = np.frombuffer(kept[len(owner) :], "<f4").copy()
        surface = make_surface(job, head, self.trainer.compute, features)
        result, walked = walk(surface, directions_of(seed, len(scalars)))
        if isinstance(surface, HeadSurface):
            memory[_FEATURES] = owner + surface.features.astype("<f4").tobytes()
        return result, encode_scalars(walked)

    def build(self, seed: bytes, recipe: Recipe, body: bytes) -> nn.Module:  # noqa: ARG002
        """See :class:`SharedModelClient`."""
        return _build(seed, *_decode_state(body))


PROTOCOL = Protocol(ScalarsServer, ScalarsClient)
