"""Models of which masks keep some weights and drop the others.

FedPM (Isik et al. 2022, arXiv 2209.15328) with the plain mean of the masks. Weights stay those of
the seed; a weight has a score, and is kept in a step with probability sigmoid(score), by a draw of
its own; in the backward pass the draw counts as if it were the probability (straight-through
estimator). The server's model has every weight times its probability. All matrices are masked but
those that are zero throughout; biases and layer norms stay as they are, because to drop one of them
is no small change. ``docs/protocols/mask.md`` has what was measured.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fedseed.protocols.mask.messages import Bits, decode_counts
from fedseed.seeds.assemble import grow
from fedseed.training.generic import WORD_EMBEDDINGS

CLIP = 0.01
"""Probabilities at the start of a round are at least this far from 0 and 1."""
WORDS_PRIOR = 0.5
"""Probability in round 1 that a weight of the word embedding is kept: both ways are open."""
PRIOR = 0.95
"""The same for all other matrices: draws at a half would make another network in every step, of
which the gradient says next to nothing about the words."""
WORDS_STD = 0.06
"""Least standard deviation of the word embedding: a mask cannot make a weight grow, and the scaled
scheme's words are small."""
_LEVELS = 1 << 16


class _Straight(torch.autograd.Function):
    """Keeps weights by a draw, and passes gradients as if they were multiplied by probability."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, weights: Tensor, draws: Tensor) -> Tensor:
        kept = torch.sigmoid(scores)
        ctx.save_for_backward(kept, weights)
        return torch.where(_below(draws, kept), weights, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        kept, weights = ctx.saved_tensors
        return gradients[0] * weights * kept * (1 - kept), None, None


def _below(draws: Tensor, probabilities: Tensor) -> Tensor:
    """Whether uniform 16-bit integers are below probabilities, taken to 1/65,536."""
    return draws < (probabilities * _LEVELS - _LEVELS // 2).clamp_(max=32_767).to(torch.int16)


class Mask(nn.Module):
    """The parametrisation of one matrix: a score for each weight, and a draw at each use."""

    rows: Tensor | None = None
    """Rows that the next use looks at, distinct; the others are left out. All when None."""

    def __init__(self, probabilities: Tensor, gain: float, source: torch.Generator) -> None:
        """Start.

        Args:
            probabilities: of being kept, in (0, 1), in the shape of the weights.
            gain: scores are this much larger than the trained parameter. Under Adam it is a
                multiplier of the learning rate.
            source: of all draws; on the CPU, so that a device draws what any other does.
        """
        super().__init__()
        self.scores = nn.Parameter(torch.logit(probabilities) / gain)
        self._gain = gain
        self._source = source

    def forward(self, weights: Tensor) -> Tensor:
        """Return the weights that are kept this time, zeros in place of the others."""
        if self.rows is None:
            return self._sampled(self.scores, weights)
        kept_rows = self._sampled(self.scores[self.rows], weights[self.rows])
        return torch.zeros_like(weights).index_copy(0, self.rows, kept_rows)

    def _sampled(self, scores: Tensor, weights: Tensor) -> Tensor:
        draws = self._draws(scores.shape).to(scores.device)
        out: Tensor = _Straight.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self._gain * scores, weights, draws
        )
        return out

    def _draws(self, shape: torch.Size) -> Tensor:
        """Uniform 16-bit integers: four of each draw, twelve times as fast as torch.rand."""
        words = torch.empty(-(-shape.numel() // 4), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self._source)
        return words.view(torch.int16)[: shape.numel()].view(shape)

    def sample(self) -> Bits:
        """Draw one mask, end to end."""
        with torch.no_grad():
            kept = torch.sigmoid(self._gain * self.scores)
            return np.asarray(_below(self._draws(kept.shape), kept).numpy().ravel(), dtype=np.bool_)


class MaskedModel(nn.Module):
    """A frozen model with a mask on each matrix, in the interface of the model.

    It is no BertClassifier, so that it is trained through automatic differentiation.
    """

    def __init__(
        self, model: nn.Module, probabilities: NDArray[np.float32], gain: float, key: int
    ) -> None:
        """Put masks on a model.

        Args:
            model: the seed's, changed in place.
            probabilities: of its masked weights, end to end.
            gain: of the word embedding's scores, see :class:`Mask`.
            key: decides all draws, in [0, 2**63).
        """
        super().__init__()
        source = torch.Generator().manual_seed(key)
        model.requires_grad_(False)
        self.masks: list[Mask] = []
        self._words: list[Mask] = []
        start = 0
        for name, weights in masked_matrices(model).items():
            part = torch.from_numpy(probabilities[start : start + weights.numel()].copy())
            is_word = name.endswith(WORD_EMBEDDINGS)
            mask = Mask(part.view(weights.shape), gain if is_word else 1.0, source)
            weights.mul_(amplitude(name, weights))
            owner, _, leaf = name.rpartition(".")
            module = model.get_submodule(owner)
            parametrize.register_parametrization(module, leaf, mask, unsafe=True)
            self.masks.append(mask)
            self._words += [mask] * is_word
            start += weights.numel()
        self.model = model

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits; of the word embedding only the rows of the batch are drawn."""
        rows = torch.unique(input_ids)
        for mask in self._words:
            mask.rows = rows
        logits: Tensor = self.model(input_ids, lengths)
        return logits


def masked_matrices(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that have a mask, by name: matrices that are not zero throughout."""
    return {
        name: part
        for name, part in model.named_parameters()
        if part.ndim == 2 and name.endswith("weight") and bool(part.any())
    }


def prior(name: str) -> float:
    """Probability in round 1 that a weight of a matrix is kept."""
    return WORDS_PRIOR if name.endswith(WORD_EMBEDDINGS) else PRIOR


def amplitude(name: str, weights: Tensor) -> float:
    """How much larger than the seed's the weights of a masked matrix are.

    What the prior keeps of them has the variance of the whole; of the word embedding at least that
    of :data:`WORDS_STD`.
    """
    scale = 1 / math.sqrt(prior(name))
    if not name.endswith(WORD_EMBEDDINGS):
        return scale
    deviation = float(np.std(weights.detach().cpu().numpy(), dtype=np.float64))
    return scale * max(1.0, WORDS_STD / deviation)


def probabilities_of(body: bytes, model: nn.Module) -> NDArray[np.float32]:
    """Share of the masks that kept each weight; the prior before there are masks."""
    matrices = masked_matrices(model)
    sizes = [part.numel() for part in matrices.values()]
    counts, masks = decode_counts(body, sizes)
    if not masks:
        return np.repeat([np.float32(prior(name)) for name in matrices], sizes)
    return counts.astype(np.float32) / np.float32(masks)


def build_model(seed: bytes, body: bytes) -> nn.Module:
    """The seed's model with every masked weight times its probability."""
    model = grow(seed)
    matrices = masked_matrices(model)
    kept = torch.from_numpy(probabilities_of(body, model))
    start = 0
    with torch.no_grad():
        for name, weights in matrices.items():
            part = kept[start : start + weights.numel()].view(weights.shape)
            weights.mul_(amplitude(name, weights) * part)
            start += weights.numel()
    return model
