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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fedseed.data.shard import Shard
from fedseed.protocols.adapter_layout import (
    ALPHA,
    COLUMNS,
    HEAD_BYTES,
    ROWS,
    Layout,
    read_download,
)
from fedseed.protocols.base import Memory, Protocol, Setup
from fedseed.protocols.codecs import Vector
from fedseed.protocols.shared_model import SharedModelClient, SharedModelServer
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.training import FitJob, FitResult
from fedseed.training.generic import WORD_EMBEDDINGS


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
            gain = embedding_multiplier if name.endswith(WORD_EMBEDDINGS) else 1.0
            self._put(name, parts[name + ROWS], parts[name + COLUMNS], gain)

    def _put(
        self, name: str, rows: NDArray[np.float32], columns: NDArray[np.float32], gain: float
    ) -> None:
        """Put factors on one matrix."""
        factors = LowRank(
            torch.from_numpy(rows / np.float32(gain)),
            torch.from_numpy(columns.copy()),
            gain * ALPHA / self._layout.rank,
            self._layout.kind == "lora",
        )
        owner, _, leaf = name.rpartition(".")
        module = self.model.get_submodule(owner)
        parametrize.register_parametrization(module, leaf, factors, unsafe=True)
        self._factors[name] = factors, gain

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.model(input_ids, lengths)
        return logits

    def vector(self) -> Vector:
        """Everything that travels, as training has left it."""
        parts = {name: part.detach().numpy() for name, part in self._whole.items()}
        for name, (factors, gain) in self._factors.items():
            parts[name + ROWS] = factors.rows.detach().numpy() * np.float32(gain)
            parts[name + COLUMNS] = factors.columns.detach().numpy()
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
                rows = torch.from_numpy(parts[name + ROWS].copy())
                product = rows @ torch.from_numpy(parts[name + COLUMNS].copy())
                parameter.add_(product, alpha=ALPHA / layout.rank)
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
        return HEAD_BYTES + 4 * self._layout.size, 4 * self._layout.size


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
