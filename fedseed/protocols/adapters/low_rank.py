"""Models with low-rank factors on a frozen body.

A matrix W of the encoder, the pooler or the word embedding becomes W + (ALPHA / rank) B A with B
starting at zero, so that the start is the seed's model; the head is trained whole, all else is
frozen. ``lora`` (Hu et al. 2021, arXiv 2106.09685) trains and sends both factors; their means are
taken one by one, and mean(B) mean(A) is not mean(B A). ``ffa`` (FFA-LoRA, Sun et al. 2024, arXiv
2403.12313) draws A from the seed, freezes it and never sends it: then the mean is exact.
torch's parametrisations serve every module; the ``peft`` package wants ``nn.Linear``, which the
lean BERT does not use.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fedseed.protocols.adapters.messages import ALPHA, COLUMNS, ROWS, Layout
from fedseed.protocols.vectors import Vector
from fedseed.seeds.assemble import grow
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
