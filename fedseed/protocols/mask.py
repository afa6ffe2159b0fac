"""The ``mask`` protocol: clients learn which of the seed's weights to keep, and send one bit each.

Down: the seed (later its sha256), a recipe, and from round 2 on how many of the last round's masks
kept each weight, entropy coded. Up: the number of examples, the training loss and one mask, a
sample of what the client learned, entropy coded: at most one bit a weight. The server keeps the
counts. An observer learns one draw for each weight of each client: a coin's for words that the
client does not use, a loaded one where it learned something. The draws of a word's row together
can tell which.

FedPM (Isik et al. 2022, arXiv 2209.15328) with the plain mean of the masks. Weights stay those of
the seed; a weight has a score, and is kept in a step with probability sigmoid(score), by a draw of
its own; the gradient passes the draw as if it were the probability (straight through). The server's
model has every weight times its probability. All matrices are masked but those that are zero
throughout; biases and layer norms stay as they are, because to drop one of them is no small change.
``docs/protocols/mask.md`` has the byte layout and what was measured.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fedseed.data.shard import Shard
from fedseed.errors import WireError
from fedseed.protocols.base import Memory, Protocol, Setup
from fedseed.protocols.mask_coding import (
    MOST_MASKS,
    Bits,
    decode_counts,
    decode_mask,
    encode_counts,
    encode_mask,
)
from fedseed.protocols.shared_model import SharedModelClient, SharedModelServer
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.training import FitJob, FitResult
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
        found = self._sampled(self.scores[self.rows], weights[self.rows])
        return torch.zeros_like(weights).index_copy(0, self.rows, found)

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
            own = torch.from_numpy(probabilities[start : start + weights.numel()].copy())
            is_word = name.endswith(WORD_EMBEDDINGS)
            mask = Mask(own.view(weights.shape), gain if is_word else 1.0, source)
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


class MaskServer(SharedModelServer):
    """Counts in how many masks a weight was kept."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        super().__init__(setup)
        self._sizes = [part.numel() for part in masked_matrices(grow(setup.seed)).values()]
        self._counts = np.zeros(sum(self._sizes), dtype=np.uint16)
        self._masks = 0
        """Masks that are counted; 0 before the first round has ended."""
        self._round = np.zeros_like(self._counts)
        self._taken = 0

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: the counts."""
        return encode_counts(self._counts, self._masks, self._sizes)

    def take(self, examples: int, body: bytes) -> None:  # noqa: ARG002  # all count alike
        """See :class:`SharedModelServer`."""
        if self._taken == MOST_MASKS:
            raise WireError(f"a round takes {MOST_MASKS:,} masks")
        self._round += decode_mask(body, self._sizes)
        self._taken += 1

    def finish_round(self, round_number: int) -> None:  # noqa: ARG002  # all rounds are alike
        """See :class:`SharedModelServer`. Earlier rounds are forgotten."""
        self._counts, self._masks = self._round, self._taken
        self._round, self._taken = np.zeros_like(self._counts), 0

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what a newcomer gets."""
        return _build(self.setup.seed, self.state())

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return self.state()

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._counts, self._masks = decode_counts(data, self._sizes)

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        masks, tensors = self.setup.config.cohort_size, len(self._sizes)
        bits = math.log2(min(masks, MOST_MASKS) + 1)
        down = int(sum(self._sizes) * bits / 8) + 2 * (masks + 1) * tensors
        return down, sum(self._sizes) // 8 + 2 * tensors + 8


class MaskClient(SharedModelClient):
    """Learns probabilities, and sends a draw of them."""

    def work(
        self,
        start: tuple[bytes, Recipe, bytes],
        shard: Shard,
        memory: Memory,  # noqa: ARG002  # nothing is kept
        rng: np.random.Generator,
    ) -> tuple[FitResult, bytes]:
        """See :class:`SharedModelClient`."""
        seed, recipe, body = start
        model = grow(seed)
        sizes = [part.numel() for part in masked_matrices(model).values()]
        kept = np.clip(_probabilities(body, model), CLIP, 1 - CLIP)
        gain, key = recipe.embedding_multiplier, int(rng.integers(2**63))
        masked = MaskedModel(model, kept, gain, key)
        result = self.trainer.fit(FitJob(masked, shard.table, shard.whole(), recipe, rng))
        found = np.concatenate([mask.sample() for mask in masked.masks])
        return result, encode_mask(found, sizes)

    def build(self, seed: bytes, recipe: Recipe, body: bytes) -> nn.Module:  # noqa: ARG002
        """See :class:`SharedModelClient`."""
        return _build(seed, body)


def _probabilities(body: bytes, model: nn.Module) -> NDArray[np.float32]:
    """Share of the masks that kept each weight; the prior before there are masks."""
    matrices = masked_matrices(model)
    sizes = [part.numel() for part in matrices.values()]
    counts, masks = decode_counts(body, sizes)
    if not masks:
        return np.repeat([np.float32(prior(name)) for name in matrices], sizes)
    return counts.astype(np.float32) / np.float32(masks)


def _build(seed: bytes, body: bytes) -> nn.Module:
    """The seed's model with every masked weight times its probability."""
    model = grow(seed)
    matrices = masked_matrices(model)
    kept = torch.from_numpy(_probabilities(body, model))
    start = 0
    with torch.no_grad():
        for name, weights in matrices.items():
            own = kept[start : start + weights.numel()].view(weights.shape)
            weights.mul_(amplitude(name, weights) * own)
            start += weights.numel()
    return model


PROTOCOL = Protocol(MaskServer, MaskClient)
