"""What all protocols have in common whose server ends with a model: messages, checks, checkpoints.

Down: the seed (later its sha256), a recipe, and a body of the protocol's own. Up: the number of
examples, the steps taken, the training loss, and again a body. A protocol says what its bodies are,
how they are aggregated, and what model a state of the server stands for.
"""

import math
import struct
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fedseed.data.shard import Shard
from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.errors import WireError
from fedseed.models.registry import to_state
from fedseed.privacy.mechanisms import Defence
from fedseed.protocols.base import Memory, ProtocolClient, ProtocolServer, Report, Setup
from fedseed.protocols.recipe_messages import decode_request, encode_request
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import digest
from fedseed.training import FitJob, FitResult

_HEAD = "<IIf"
HEAD_BYTES = struct.calcsize(_HEAD)
"""Bytes of a contribution before its body."""
_LENGTH = "<I"
_MOST_EXAMPLES = 10_000_000


def encode_download(seed: bytes | None, seed_digest: bytes, recipe: Recipe, body: bytes) -> bytes:
    """Bytes that go down; see :func:`fedseed.protocols.recipe_messages.encode_request`."""
    request = encode_request(seed, seed_digest, [recipe])
    return struct.pack(_LENGTH, len(request)) + request + body


def decode_download(
    payload: bytes, memory: Memory, architecture: tuple[str, int] | None = None
) -> tuple[bytes, Recipe, bytes]:
    """Read what came down: the encoded seed, the recipe and the protocol's body.

    See :func:`fedseed.protocols.recipe_messages.decode_request` for the arguments.

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
    return seed, recipes[0], payload[end:]


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
        self._digest = digest(setup.seed)
        self._holders: set[int] = set()

    @abstractmethod
    def state(self) -> bytes:
        """The body that goes down: all about the server's model but the seed; never empty."""

    @abstractmethod
    def take(self, examples: int, body: bytes) -> None:
        """Add one contribution to the round's aggregate.

        Raises:
            WireError: the body is malformed or cannot be believed; nothing was added.
        """

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
        payloads: dict[bool, bytes] = {}
        for holds in {pid in self._holders for pid in cohort}:
            payloads[holds] = self._download(None if holds else self.setup.seed)
        return {pid: payloads[pid in self._holders] for pid in cohort}

    def _download(self, seed: bytes | None) -> bytes:
        return encode_download(seed, self._digest, self.setup.recipe, self.state())

    def aggregate(self, round_number: int, contributions: Mapping[int, bytes]) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        reports: dict[int, Report] = {}
        for pid in sorted(contributions):
            try:
                reports[pid] = self._take(contributions[pid])
                self._holders.add(pid)
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
        kept = round(loss, 6) if math.isfinite(loss) and not self._hides_loss else None
        return Report("ok", examples, {"steps": steps, "train_loss": kept})

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
        holders = np.array(sorted(self._holders), dtype="<u4").tobytes()
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
        self._holders = set(np.frombuffer(checkpoint[start:end], dtype="<u4").tolist())

    def files(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the final model and the recipe."""
        from safetensors.numpy import save

        return {
            "recipe.toml": self.setup.recipe.to_toml().encode(),
            "model.safetensors": save(to_state(self.model())),
        }

    def products(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: training alone from the seed, and the final state."""
        seed, done = self.setup.seed, self.setup.recipe.replace(steps=0)
        return {
            "given": encode_download(seed, self._digest, self.setup.given, b""),
            "aggregated": encode_download(seed, self._digest, done, self.state()),
        }

    def summary(self, product: str) -> Mapping[str, Any]:
        """See :class:`ProtocolServer`."""
        recipe = self.setup.given if product == "given" else self.setup.recipe
        return {"recipe": recipe.model_dump()}

    def payload_estimate(self) -> dict[str, int]:
        """See :class:`ProtocolServer`."""
        down, up = self.body_estimate()
        first = len(self._download(self.setup.seed))
        head = len(encode_download(None, self._digest, self.setup.recipe, b""))
        return {"down_first": first, "down_later": head + down, "up": HEAD_BYTES + up}

    @abstractmethod
    def body_estimate(self) -> tuple[int, int]:
        """About the most bytes of a body: down after round 1, and up."""


class SharedModelClient(ProtocolClient):
    """Trains from the server's state, and sends what the protocol sends."""

    @abstractmethod
    def work(
        self,
        start: tuple[bytes, Recipe, bytes],
        shard: Shard,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[FitResult, bytes]:
        """Do one round's work on all of the shard's rows.

        Args:
            start: the encoded seed, the recipe and the body that came down.
            shard: the client's texts.
            memory: what the client keeps between rounds.
            rng: the client's generator.

        Returns:
            How training went, and the body that goes up.

        Raises:
            WireError: the body cannot be decoded.
        """

    @abstractmethod
    def build(self, seed: bytes, recipe: Recipe, body: bytes) -> nn.Module:
        """The model that a state of the server stands for.

        Raises:
            WireError: the body cannot be decoded.
        """

    def contribute(
        self, payload: bytes, shard: Shard, memory: Memory, rng: np.random.Generator
    ) -> bytes:
        """See :class:`ProtocolClient`. All examples are trained on: nothing is validated."""
        start = decode_download(payload, memory, self.architecture)
        steps = start[1].steps
        if self._is_private and self.defence:
            _refuse_costly(start[1], self.defence)
        result, body = self.work(start, shard, memory, rng)
        if self._is_private:
            # How many examples there are and how well they were learned is theirs: all clients
            # count alike, and say that they did as asked.
            return encode_contribution(1, FitResult(steps, math.nan, False), body)
        return encode_contribution(len(shard.whole()), result, body)

    @property
    def _is_private(self) -> bool:
        return self.defence is not None and self.defence.unit is not None

    def grow(
        self,
        payload: bytes,
        table: TokenTable,
        rows: Rows,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        seed, recipe, body = decode_download(payload, memory, self.architecture)
        if body:
            return self.build(seed, recipe, body), recipe.max_length
        model = grow(seed)  # what was given: a seed and a recipe, to train alone
        self.trainer.fit(FitJob(model, table, rows, recipe, rng))
        return model, recipe.max_length


def _refuse_costly(recipe: Recipe, defence: Defence) -> None:
    """Refuse what the privacy budget does not cover."""
    if recipe.steps > defence.most_steps:
        raise WireError(f"{recipe.steps} steps are more than the privacy budget covers")
    if defence.most_batch is not None and recipe.batch_size > defence.most_batch:
        raise WireError(f"batches of {recipe.batch_size} are more than the privacy budget covers")
