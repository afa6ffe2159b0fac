"""Models with low-rank factors on a frozen body.

A matrix W of the encoder, the pooler or the word embedding becomes W + (ALPHA / rank) B A with B
starting at zero, so that the start is the seed's model; the head is trained whole, all else is
frozen. ``lora`` (Hu et al. 2021, arXiv 2106.09685) trains and sends both factors; their means are
taken one by one, and mean(B) mean(A) is not mean(B A). ``ffa`` (FFA-LoRA, Sun et al. 2024, arXiv
2403.12313) draws A from the seed, freezes it and never sends it: then the mean is exact.
A model of the BERT family is trained by the lean trainer; torch's parametrisations serve every
other module (the ``peft`` package wants ``nn.Linear``, which not all of them have).
"""

import numpy as np
import torch
from torch import nn

from fedseed.coding.vectors import Vector
from fedseed.models.architecture import State
from fedseed.protocols.adapters.messages import ALPHA, COLUMNS, ROWS, Layout
from fedseed.seeds.assemble import grow
from fedseed.training.generic import WORD_EMBEDDINGS
from fedseed.training.subspace import Change, LowRank, SubspaceModel


class AdaptedModel(SubspaceModel):
    """A frozen model with trainable factors and head, in the interface of the model."""

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
        parts = layout.drawn(seed) | layout.parts.split(vector)
        self._layout, self._gain = layout, embedding_multiplier
        changes = {name: self._change(name, parts) for name in layout.matrices}
        super().__init__(grow(seed), changes, layout.whole)
        with torch.no_grad():
            for name, parameter in self.whole.items():
                parameter.copy_(torch.from_numpy(parts[name].copy()))

    def _change(self, name: str, parts: State) -> Change:
        """The factors of one matrix."""
        layout, gain = self._layout, self._gain_of(name)
        rows, columns = parts[name + ROWS], torch.from_numpy(parts[name + COLUMNS].copy())
        left = torch.from_numpy(rows / np.float32(gain))
        return LowRank(left, columns, gain * ALPHA / layout.rank, layout.kind == "lora")

    def _gain_of(self, name: str) -> float:
        return self._gain if name.endswith(WORD_EMBEDDINGS) else 1.0

    def vector(self) -> Vector:
        """Everything that travels, as training has left it."""
        parts = {name: part.detach().numpy() for name, part in self.whole.items()}
        for name, change in self.changes.items():
            assert isinstance(change, LowRank)
            gain = np.float32(self._gain_of(name))
            parts[name + ROWS] = change.rows.detach().numpy() * gain
            parts[name + COLUMNS] = change.columns.detach().numpy()
        return self._layout.parts.join(parts)


def merged(seed: bytes, layout: Layout, vector: Vector) -> nn.Module:
    """A plain model: the seed's, with the factors' products added and the head replaced."""
    model = grow(seed)
    parts = layout.drawn(seed) | layout.parts.split(vector)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in layout.whole:
                parameter.copy_(torch.from_numpy(parts[name].copy()))
            elif name in layout.matrices:
                rows = torch.from_numpy(parts[name + ROWS].copy())
                product = rows @ torch.from_numpy(parts[name + COLUMNS].copy())
                parameter.add_(product, alpha=ALPHA / layout.rank)
    return model
