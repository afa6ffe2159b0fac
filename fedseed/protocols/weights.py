"""The ``weights`` protocol: federated averaging (McMahan et al. 2017, algorithm 1).

Down: the seed, which names the architecture and is the start (later its sha256), a recipe, and
from round 2 on the averaged weights in fp32. Up: the number of examples, the training loss and
the weights in fp32. The server keeps the averaged weights. An observer learns each client's
weights after training, from which much about its texts can be computed.
``docs/protocols/weights.md`` has the byte layout.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedseed.data.shard import Shard
from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.errors import WireError
from fedseed.growing import grow, grow_with
from fedseed.models.registry import to_state
from fedseed.protocols.base import Memory, ProtocolClient, ProtocolServer, Report
from fedseed.protocols.recipe import decode_request, encode_request
from fedseed.recipe import Recipe
from fedseed.seeds.base import digest
from fedseed.training import FitJob

_HEAD = "<IIf"
HEAD_BYTES = struct.calcsize(_HEAD)
"""Bytes of a contribution before its weights."""
_LENGTH = "<I"
_MOST_EXAMPLES = 10_000_000
_LARGEST = 1e4
"""A weight beyond this is not believed."""

Vector = NDArray[np.float32]


def encode_download(
    seed: bytes | None, seed_digest: bytes, recipe: Recipe, weights: Vector | None
) -> bytes:
    """Bytes that go down; see :func:`fedseed.protocols.recipe.encode_request`."""
    request = encode_request(seed, seed_digest, [recipe])
    head = struct.pack(_LENGTH, len(request)) + request
    return head if weights is None else head + weights.astype("<f4").tobytes()


def decode_download(payload: bytes, memory: Memory) -> tuple[bytes, Recipe, Vector | None]:
    """Read what came down: the encoded seed, the recipe and the weights, if any.

    Raises:
        WireError: malformed bytes, or the digest of a seed that was never sent.
    """
    if len(payload) < struct.calcsize(_LENGTH):
        raise WireError("the download is truncated")
    end = struct.calcsize(_LENGTH) + struct.unpack_from(_LENGTH, payload)[0]
    seed, recipes = decode_request(payload[struct.calcsize(_LENGTH) : end], memory)
    if len(recipes) != 1:
        raise WireError(f"the download holds {len(recipes)} recipes, not one")
    if len(payload) <= end:
        return seed, recipes[0], None
    return seed, recipes[0], _vector(payload[end:])


def _vector(data: bytes) -> Vector:
    if len(data) % 4:
        raise WireError("the weights are truncated")
    weights = np.frombuffer(data, dtype="<f4")
    low, high = weights.min(initial=0.0), weights.max(initial=0.0)
    if not (low >= -_LARGEST and high <= _LARGEST):  # what is not a number is neither
        raise WireError(f"not believable: weights that are not finite or beyond {_LARGEST:g}")
    return weights


def _model(seed: bytes, weights: Vector | None) -> nn.Module:
    """The model with these weights, or as the seed assembles it."""
    return grow(seed) if weights is None else grow_with(seed, weights)


class WeightsServer(ProtocolServer):
    """Averages weights in proportion to the clients' examples."""

    def __init__(self, seed: bytes, given: Recipe, recipe: Recipe, parameters: int) -> None:
        """Start a run.

        Args:
            seed: the encoded seed, from which round 1 starts.
            given: the recipe of a client that trains alone, for comparison.
            recipe: how the clients train in every round.
            parameters: number of the model's weights.
        """
        self._seed = seed
        self._digest = digest(seed)
        self._given = given
        self._recipe = recipe
        self._parameters = parameters
        self._weights: Vector | None = None
        self._holders: set[int] = set()

    def configure(
        self,
        round_number: int,  # noqa: ARG002  # all rounds are alike
        cohort: Sequence[int],
    ) -> dict[int, bytes]:
        """See :class:`ProtocolServer`. Clients that replied once are sent the digest only."""
        payloads: dict[bool, bytes] = {}
        for holds in {pid in self._holders for pid in cohort}:
            seed = None if holds else self._seed
            payloads[holds] = encode_download(seed, self._digest, self._recipe, self._weights)
        return {pid: payloads[pid in self._holders] for pid in cohort}

    def aggregate(
        self,
        round_number: int,  # noqa: ARG002  # all rounds are alike
        contributions: Mapping[int, bytes],
    ) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        reports: dict[int, Report] = {}
        total = torch.zeros(self._parameters, dtype=torch.float64)
        examples = 0
        for pid in sorted(contributions):
            try:
                count, report, weights = self._decode(contributions[pid])
            except WireError as error:
                reports[pid] = Report("rejected", reason=str(error))
                continue
            total.add_(torch.from_numpy(weights.copy()), alpha=count)  # torch wants its own
            examples += count
            reports[pid] = report
            self._holders.add(pid)
        if examples:
            self._weights = total.div_(examples).float().numpy()
        return reports

    def _decode(self, payload: bytes) -> tuple[int, Report, Vector]:
        if len(payload) != HEAD_BYTES + 4 * self._parameters:
            raise WireError(f"{len(payload)} bytes are not {self._parameters} weights")
        examples, steps, loss = struct.unpack_from(_HEAD, payload)
        if not 0 < examples <= _MOST_EXAMPLES or steps > self._recipe.steps:
            raise WireError(f"not believable: {examples} examples, {steps} steps")
        kept = round(loss, 6) if math.isfinite(loss) else None
        report = Report("ok", examples, {"steps": steps, "train_loss": kept})
        return examples, report, _vector(payload[HEAD_BYTES:])

    def glance(self, contribution: bytes) -> str:
        """See :class:`ProtocolServer`: the training loss."""
        if len(contribution) < HEAD_BYTES:
            return ""
        return f"loss {struct.unpack_from(_HEAD, contribution)[2]:.3g}"

    def model(self) -> nn.Module:
        """See :class:`ProtocolServer`: the average."""
        return _model(self._seed, self._weights)

    def checkpoint(self) -> bytes | None:
        """See :class:`ProtocolServer`: who holds the seed, and the average."""
        holders = np.array(sorted(self._holders), dtype="<u4").tobytes()
        weights = b"" if self._weights is None else self._weights.astype("<f4").tobytes()
        return struct.pack(_LENGTH, len(holders)) + holders + weights

    def restore(self, checkpoint: bytes) -> None:
        """See :class:`ProtocolServer`."""
        start = struct.calcsize(_LENGTH)
        if len(checkpoint) < start:
            raise WireError("the checkpoint is truncated")
        end = start + struct.unpack_from(_LENGTH, checkpoint)[0]
        weights = _vector(checkpoint[end:])
        if len(weights) not in (0, self._parameters) or (end - start) % 4 or end > len(checkpoint):
            raise WireError("the checkpoint is of another model")
        self._holders = set(np.frombuffer(checkpoint[start:end], dtype="<u4").tolist())
        self._weights = weights.copy() if len(weights) else None

    def files(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the averaged model and the recipe."""
        from safetensors.numpy import save

        return {
            "recipe.toml": self._recipe.to_toml().encode(),
            "model.safetensors": save(to_state(self.model())),
        }

    def products(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: training alone from the seed, and the average as it is."""
        done = self._recipe.replace(steps=0)
        return {
            "given": encode_download(self._seed, self._digest, self._given, None),
            "aggregated": encode_download(self._seed, self._digest, done, self._weights),
        }

    def summary(self, product: str) -> Mapping[str, Any]:
        """See :class:`ProtocolServer`."""
        recipe = self._given if product == "given" else self._recipe
        return {"recipe": recipe.model_dump()}


class WeightsClient(ProtocolClient):
    """Trains from the server's weights, and sends its own."""

    def contribute(
        self, payload: bytes, shard: Shard, memory: Memory, rng: np.random.Generator
    ) -> bytes:
        """See :class:`ProtocolClient`. All examples are trained on: nothing is validated."""
        seed, recipe, weights = decode_download(payload, memory)
        model = _model(seed, weights)
        rows = shard.whole()
        result = self.trainer.fit(FitJob(model, shard.table, rows, recipe, rng))
        loss = 0.0 if math.isnan(result.train_loss) else result.train_loss
        head = struct.pack(_HEAD, len(rows), result.steps, loss)
        return head + b"".join(part.astype("<f4").tobytes() for part in to_state(model).values())

    def grow(
        self,
        payload: bytes,
        table: TokenTable,
        rows: Rows,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        seed, recipe, weights = decode_download(payload, memory)
        model = _model(seed, weights)
        self.trainer.fit(FitJob(model, table, rows, recipe, rng))
        return model, recipe.max_length
