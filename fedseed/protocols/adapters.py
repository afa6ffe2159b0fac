"""The ``adapters`` protocol: low-rank changes of a frozen seed go both ways.

Down: the seed (later its sha256), a recipe, rank and kind, and from round 2 on the mean of the
factors. Up: the number of examples, the training loss, and the client's factors. The server keeps
the mean. An observer learns each client's classification head and low-rank changes, among them
four numbers (the rank) for every word: words whose numbers stand still were not used.

A matrix W of the encoder, the pooler or the word embedding becomes W + (ALPHA / rank) B A with B
starting at zero, so that the start is the seed's model; the head is trained whole, all else is
frozen. ``lora`` (Hu et al. 2021, arXiv 2106.09685) trains and sends both factors; their means are
taken one by one, and mean(B) mean(A) is not mean(B A). ``ffa`` (FFA-LoRA, Sun et al. 2024, arXiv
2403.12313) draws A from the seed, freezes it and never sends it: then the mean is exact.
torch's parametrisations serve every module; the ``peft`` package wants ``nn.Linear``, which the
lean BERT does not use. ``docs/protocols/adapters.md`` has the byte layout and what was measured.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fedseed.data.shard import Shard
from fedseed.errors import WireError
from fedseed.growing import grow
from fedseed.models.architecture import Shapes, State
from fedseed.models.registry import to_state
from fedseed.protocols.base import Memory, Protocol, Setup
from fedseed.protocols.codecs import Vector, believable
from fedseed.protocols.shared_model import SharedModelClient, SharedModelServer
from fedseed.recipe import Recipe
from fedseed.seeds.base import digest
from fedseed.seeds.counter import normal
from fedseed.training import FitJob, FitResult
from fedseed.training.generic import _WORD_EMBEDDINGS

KINDS = ("ffa", "lora")
"""Adapter kinds, in the order of their numbers on the wire."""
ALPHA = 8.0
"""The product of the factors is scaled by this over the rank."""
LARGEST_RANK = 256
_HEAD = "<HB"
_HEAD_BYTES = struct.calcsize(_HEAD)
_HEADS = ("classifier", "pre_classifier", "score")
"""First part of the names of a classification head, in the lean BERT and Hugging Face's models."""
_NOT_ADAPTED = ("position", "token_type", "wpe")
_ROWS, _COLUMNS = "/rows", "/columns"


@dataclass(frozen=True)
class Layout:
    """What travels of a model, and in which order."""

    rank: int
    kind: str
    """One of :data:`KINDS`."""
    matrices: Shapes
    """Matrices that have factors; the others are frozen."""
    whole: Shapes
    """The head's parameters, which travel as they are."""

    @classmethod
    def of(cls, shapes: Shapes, rank: int, kind: str) -> "Layout":
        """Choose by the names and shapes of a model's parameters, in the architecture's order."""
        whole = {n: shape for n, shape in shapes.items() if n.partition(".")[0] in _HEADS}
        matrices = {
            name: shape
            for name, shape in shapes.items()
            if len(shape) == 2
            and name.endswith("weight")
            and name not in whole
            and not any(word in name for word in _NOT_ADAPTED)
        }
        return cls(rank, kind, matrices, whole)

    @property
    def parts(self) -> Shapes:
        """Name and shape of everything that travels, in order."""
        shapes: Shapes = {}
        for name, (rows, columns) in self.matrices.items():
            shapes[name + _ROWS] = rows, self.rank
            if self.kind == "lora":
                shapes[name + _COLUMNS] = self.rank, columns
        return shapes | self.whole

    @property
    def size(self) -> int:
        """Numbers that travel."""
        return sum(int(np.prod(shape)) for shape in self.parts.values())

    @property
    def head(self) -> bytes:
        """The first bytes of a body that goes down."""
        return struct.pack(_HEAD, self.rank, KINDS.index(self.kind))

    def split(self, vector: Vector) -> State:
        """The parts of a vector, by name."""
        shapes = self.parts
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        pieces = np.split(vector, ends[:-1])
        return {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    def join(self, parts: Mapping[str, np.ndarray]) -> Vector:
        """The vector of some parts."""
        pieces = [np.asarray(parts[name], dtype=np.float32).ravel() for name in self.parts]
        return np.concatenate(pieces)

    def start(self, seed: bytes) -> Vector:
        """The vector that stands for the seed's own model."""
        own = to_state(grow(seed))
        parts: State = {name: own[name] for name in self.whole}
        for name, (rows, _) in self.matrices.items():
            parts[name + _ROWS] = np.zeros((rows, self.rank), dtype=np.float32)
        return self.join(parts | self.drawn(seed))

    def drawn(self, seed: bytes) -> State:
        """Every matrix' A as the seed gives it, by the part's name.

        The generator's key is of the seed's bytes, since not every kind of seed has one.
        """
        key = int.from_bytes(digest(seed)[:8], "little")
        return {
            name + _COLUMNS: normal(
                key, f"{name}/adapter", (self.rank, columns), 1 / np.sqrt(columns)
            )
            for name, (_, columns) in self.matrices.items()
        }

    def read(self, data: bytes) -> Vector:
        """Read the values of a body.

        Raises:
            WireError: another number of values, or values that cannot be believed.
        """
        if len(data) != 4 * self.size:
            raise WireError(f"{len(data)} bytes are not {self.size} values of adapters")
        return believable(np.frombuffer(data, "<f4"))


def read_download(seed: bytes, body: bytes) -> tuple[Layout, Vector]:
    """What travels, and the server's values.

    Raises:
        WireError: malformed bytes, or values that cannot be believed.
    """
    if len(body) < _HEAD_BYTES:
        raise WireError("the download names no adapters")
    rank, number = struct.unpack_from(_HEAD, body)
    if not 0 < rank <= LARGEST_RANK or number >= len(KINDS):
        raise WireError(f"adapters of rank {rank} and kind {number} are not known")
    shapes = {name: tuple(part.shape) for name, part in grow(seed).named_parameters()}
    layout, values = Layout.of(shapes, rank, KINDS[number]), body[_HEAD_BYTES:]
    return layout, layout.read(values) if values else layout.start(seed)


class LowRank(nn.Module):
    """The parametrisation of one matrix: W + scale B A."""

    def __init__(self, rows: Tensor, columns: Tensor, scale: float, both: bool) -> None:
        """Start.

        Args:
            rows: B, shape ``(rows, rank)``.
            columns: A, shape ``(rank, columns)``.
            scale: of the product.
            both: whether A is trained as well.
        """
        super().__init__()
        self.rows = nn.Parameter(rows)
        self.columns = nn.Parameter(columns, requires_grad=both)
        self._scale = scale

    def forward(self, weights: Tensor) -> Tensor:
        """Return the changed matrix."""
        return weights + self._scale * (self.rows @ self.columns)


class AdaptedModel(nn.Module):
    """A frozen model with trainable factors and head, in the interface of the model.

    It is no BertClassifier, so that it is trained through automatic differentiation.
    """

    def __init__(
        self, seed: bytes, layout: Layout, vector: Vector, embedding_multiplier: float
    ) -> None:
        """Grow a seed's model and put factors on it.

        Args:
            seed: the encoded seed.
            layout: which.
            vector: where they start.
            embedding_multiplier: the word embedding's B is divided by this and its product
                multiplied; under Adam that multiplies its learning rate, as the recipe asks.
        """
        super().__init__()
        self._layout = layout
        self._factors: dict[str, tuple[LowRank, float]] = {}
        self.model = grow(seed)
        self.model.requires_grad_(False)
        parts = layout.drawn(seed) | layout.split(vector)
        self._whole = {n: p for n, p in self.model.named_parameters() if n in layout.whole}
        for name, parameter in self._whole.items():
            parameter.copy_(torch.from_numpy(parts[name].copy()))
            parameter.requires_grad_(True)
        for name in layout.matrices:
            gain = embedding_multiplier if name.endswith(_WORD_EMBEDDINGS) else 1.0
            factors = LowRank(
                torch.from_numpy(parts[name + _ROWS] / np.float32(gain)),
                torch.from_numpy(parts[name + _COLUMNS].copy()),
                gain * ALPHA / layout.rank,
                layout.kind == "lora",
            )
            owner, _, leaf = name.rpartition(".")
            parametrize.register_parametrization(
                self.model.get_submodule(owner), leaf, factors, unsafe=True
            )
            self._factors[name] = factors, gain

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.model(input_ids, lengths)
        return logits

    def vector(self) -> Vector:
        """Everything that travels, as training has left it."""
        parts = {name: part.detach().numpy() for name, part in self._whole.items()}
        for name, (factors, gain) in self._factors.items():
            parts[name + _ROWS] = factors.rows.detach().numpy() * np.float32(gain)
            parts[name + _COLUMNS] = factors.columns.detach().numpy()
        return self._layout.join(parts)


def merged(seed: bytes, layout: Layout, vector: Vector) -> nn.Module:
    """A plain model: the seed's, with the factors' products added and the head replaced."""
    model = grow(seed)
    parts = layout.drawn(seed) | layout.split(vector)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in layout.whole:
                parameter.copy_(torch.from_numpy(parts[name].copy()))
            elif name in layout.matrices:
                rows = torch.from_numpy(parts[name + _ROWS].copy())
                product = rows @ torch.from_numpy(parts[name + _COLUMNS].copy())
                parameter += ALPHA / layout.rank * product
    return model


class AdaptersServer(SharedModelServer):
    """Averages the factors and the head in proportion to the clients' examples."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        super().__init__(setup)
        options = setup.config.protocol_options()
        self._layout = Layout.of(setup.shapes, int(options["rank"]), options["adapter"])
        self._aggregator = setup.aggregator()
        self._vector: Vector | None = None
        """The mean; None before the first round has ended."""

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: rank and kind, and the mean after round 1."""
        return self._layout.head + self.save()

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._aggregator.add(self._layout.read(body), examples)

    def finish_round(self, round_number: int) -> None:
        """See :class:`SharedModelServer`."""
        start = self._vector
        if start is None:
            start = self._layout.start(self.setup.seed)
        self._vector = self._aggregator.finish(start, round_number)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what a newcomer gets."""
        return merged(self.setup.seed, *read_download(self.setup.seed, self.state()))

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return b"" if self._vector is None else bytes(self._vector.astype("<f4").tobytes())

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._vector = self._layout.read(data).copy() if data else None

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        return _HEAD_BYTES + 4 * self._layout.size, 4 * self._layout.size


class AdaptersClient(SharedModelClient):
    """Trains factors and head from the server's, and sends its own."""

    def work(
        self,
        start: tuple[bytes, Recipe, bytes],
        shard: Shard,
        memory: Memory,  # noqa: ARG002  # nothing is kept
        rng: np.random.Generator,
    ) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        seed, recipe, body = start
        layout, vector = read_download(seed, body)
        model = AdaptedModel(seed, layout, vector, recipe.embedding_multiplier)
        result = self.trainer.fit(FitJob(model, shard.table, shard.whole(), recipe, rng))
        return result, bytes(model.vector().astype("<f4").tobytes())

    def build(self, seed: bytes, recipe: Recipe, body: bytes) -> nn.Module:  # noqa: ARG002
        """See :class:`SharedModelClient`."""
        return merged(seed, *read_download(seed, body))


PROTOCOL = Protocol(AdaptersServer, AdaptersClient)
