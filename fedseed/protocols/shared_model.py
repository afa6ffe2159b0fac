"""What all protocols have in common whose server ends with a model: messages, checks, checkpoints.

Down: the seed (later its sha256), a recipe, and a body of the protocol's own. Up: the number of
examples, the steps taken, the training loss, and again a body. A protocol says what its bodies are,
how they are aggregated, and what model a state of the server stands for.
"""

import math
import struct
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.memory import Memory
from fedseed.models.registry import to_state
from fedseed.protocols.base import ProtocolServer, Report, Setup
from fedseed.protocols.request import SeedBroadcast, decode_request
from fedseed.recipe import Recipe
from fedseed.training import FitResult

_HEAD = "<IIf"
HEAD_BYTES = struct.calcsize(_HEAD)
"""Bytes of a contribution before its body."""
_LENGTH = "<I"
SUM_HEAD = 2
"""Numbers of a sum before those that stand for bodies: examples and steps."""
_MOST_EXAMPLES = 10_000_000


@dataclass(frozen=True)
class Download:
    """What a client starts a round from."""

    seed: bytes
    """The encoded seed."""
    recipe: Recipe
    body: bytes
    """The protocol's own part."""


def encode_download(
    broadcast: SeedBroadcast, recipe: Recipe, body: bytes, held: bool = False
) -> bytes:
    """Bytes that go down: a request of one recipe, its length before it, and a body.

    Args:
        broadcast: the seed.
        recipe: how to train.
        body: the protocol's.
        held: whether the client holds the seed.
    """
    request = broadcast.request([recipe], held)
    return struct.pack(_LENGTH, len(request)) + request + body


def decode_download(
    payload: bytes, memory: Memory, architecture: tuple[str, int] | None = None
) -> Download:
    """Read what came down: the encoded seed, the recipe and the protocol's body.

    See :func:`fedseed.protocols.request.decode_request` for the arguments.

    Raises:
        WireError: malformed bytes, the digest of a seed that was never sent, or a seed of another
            architecture.
    """
    start = struct.calcsize(_LENGTH)
    if len(payload) < start:
        raise WireError("the download is truncated")
    end = start + struct.unpack_from(_LENGTH, payload)[0]
    if end > len(payload):
        raise WireError("the download is truncated")
    seed, recipes = decode_request(payload[start:end], memory, architecture)
    if len(recipes) != 1:
        raise WireError(f"the download holds {len(recipes)} recipes, not one")
    return Download(seed, recipes[0], payload[end:])


def encode_contribution(examples: int, result: FitResult, body: bytes) -> bytes:
    """Bytes that come up."""
    loss = 0.0 if math.isnan(result.train_loss) else result.train_loss
    return struct.pack(_HEAD, examples, result.steps, loss) + body


def flat_weights(model: nn.Module) -> NDArray[np.float32]:
    """All weights of a model end to end, in the architecture's order."""
    return np.concatenate([part.ravel() for part in to_state(model).values()])


class SharedModelServer(ProtocolServer):
    """Rounds in which every client starts from one state of the server."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        self.setup = setup
        self._broadcast = SeedBroadcast(setup.seed)

    @abstractmethod
    def state(self) -> bytes:
        """The body that goes down: all about the server's model but the seed; never empty."""

    @abstractmethod
    def take(self, examples: int, body: bytes) -> None:
        """Add one contribution to the round's aggregate.

        Raises:
            WireError: the body is malformed or cannot be believed; nothing was added.
        """

    def body_length(self) -> int:
        """Numbers of the vectors that are summed in place of bodies."""
        raise NotImplementedError

    def take_sum(self, examples: int, total: Words, clients: int) -> None:
        """Make the round's aggregate of a sum.

        Args:
            examples: of all clients in it; under privacy every client counts as 1.
            total: shape ``(body_length,)``.
            clients: how many are in it.

        Raises:
            WireError: it cannot be believed; nothing was taken.
        """
        raise NotImplementedError

    @abstractmethod
    def finish_round(self, round_number: int) -> None:
        """Make the round's contributions, at least one, the server's new state."""

    @abstractmethod
    def save(self) -> bytes:
        """The state exactly, for a checkpoint."""

    @abstractmethod
    def load(self, data: bytes) -> None:
        """Go on from a state; raises WireError when it is of another run."""

    @abstractmethod
    def model(self) -> nn.Module:
        """See :class:`ProtocolServer`."""

    def configure(
        self,
        round_number: int,  # noqa: ARG002  # all rounds are alike
        cohort: Sequence[int],
    ) -> dict[int, bytes]:
        """See :class:`ProtocolServer`. Clients that replied once are sent the digest only."""
        holders = self._broadcast.holders
        payloads = {held: self._download(held) for held in {pid in holders for pid in cohort}}
        return {pid: payloads[pid in holders] for pid in cohort}

    def _download(self, held: bool) -> bytes:
        return encode_download(self._broadcast, self.setup.recipe, self.state(), held)

    def aggregate(self, round_number: int, contributions: Mapping[int, bytes]) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        reports: dict[int, Report] = {}
        for pid in sorted(contributions):
            try:
                reports[pid] = self._take(contributions[pid])
                self._broadcast.holders.add(pid)
            except WireError as error:
                reports[pid] = Report("rejected", reason=str(error))
        if any(report.status == "ok" for report in reports.values()):
            self.finish_round(round_number)
        return reports

    def _take(self, payload: bytes) -> Report:
        if len(payload) < HEAD_BYTES:
            raise WireError("the contribution is truncated")
        examples, steps, loss = struct.unpack_from(_HEAD, payload)
        if not 0 < examples <= _MOST_EXAMPLES or steps > self.setup.recipe.steps:
            raise WireError(f"not believable: {examples} examples, {steps} steps")
        if self._hides_loss and examples != 1:
            raise WireError(f"{examples} examples, where under privacy every client counts as 1")
        self.take(examples, payload[HEAD_BYTES:])
        known = steps > 0 and math.isfinite(loss) and not self._hides_loss
        shown = round(loss, 6) if known else None
        return Report("ok", examples, {"steps": steps, "train_loss": shown})

    def sum_length(self) -> int:
        """See :class:`ProtocolServer`: examples and steps, then what stands for bodies."""
        return SUM_HEAD + self.body_length()

    def aggregate_sum(
        self, round_number: int, total: Words, clients: Sequence[int]
    ) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        (examples, steps), count = total[:SUM_HEAD].tolist(), len(clients)
        believed = count <= examples <= _MOST_EXAMPLES and steps <= count * self.setup.recipe.steps
        if not believed or (self._hides_loss and examples != count):
            raise WireError(
                f"not believable: {examples} examples, {steps} steps of {count} clients"
            )
        self.take_sum(examples, total[SUM_HEAD:], count)
        self._broadcast.holders.update(clients)
        self.finish_round(round_number)
        report = Report("ok", metrics={"steps": steps // count, "train_loss": None})
        return dict.fromkeys(clients, report)

    @property
    def _hides_loss(self) -> bool:
        """Whether clients send a constant in its place."""
        return self.setup.defence is not None and self.setup.defence.unit is not None

    def describe_contribution(self, contribution: bytes) -> str:
        """See :class:`ProtocolServer`: the training loss."""
        if len(contribution) < HEAD_BYTES or self._hides_loss:
            return ""
        return f"loss {struct.unpack_from(_HEAD, contribution)[2]:.3g}"

    def checkpoint(self) -> bytes:
        """See :class:`ProtocolServer`: who holds the seed, and the state."""
        holders = np.array(sorted(self._broadcast.holders), dtype="<u4").tobytes()
        return struct.pack(_LENGTH, len(holders)) + holders + self.save()

    def restore(self, checkpoint: bytes) -> None:
        """See :class:`ProtocolServer`."""
        start = struct.calcsize(_LENGTH)
        if len(checkpoint) < start:
            raise WireError("the checkpoint is truncated")
        end = start + struct.unpack_from(_LENGTH, checkpoint)[0]
        if (end - start) % 4 or end > len(checkpoint):
            raise WireError("the checkpoint is truncated")
        self.load(checkpoint[end:])
        self._broadcast.holders = set(np.frombuffer(checkpoint[start:end], dtype="<u4").tolist())

    def files(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the recipe; the model is saved by the run."""
        return {"recipe.toml": self.setup.recipe.to_toml().encode()}

    @property
    def _alone(self) -> Recipe:
        return self.setup.alone or self.setup.given

    def products(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: training alone from the seed, and the final state."""
        done = self.setup.recipe.replace(steps=0)
        return {
            "given": encode_download(self._broadcast, self._alone, b""),
            "aggregated": encode_download(self._broadcast, done, self.state()),
        }

    def summary(self, product: str) -> Mapping[str, Any]:
        """See :class:`ProtocolServer`."""
        recipe = self._alone if product == "given" else self.setup.recipe
        return {"recipe": recipe.model_dump()}

    def payload_estimate(self) -> dict[str, int]:
        """See :class:`ProtocolServer`."""
        down, up = self.body_estimate()
        first = len(self._download(held=False))
        head = len(encode_download(self._broadcast, self.setup.recipe, b"", held=True))
        return {"down_first": first, "down_later": head + down, "up": HEAD_BYTES + up}

    @abstractmethod
    def body_estimate(self) -> tuple[int, int]:
        """About the most bytes of a body: down after round 1, and up."""
