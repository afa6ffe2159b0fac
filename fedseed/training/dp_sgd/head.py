"""DP-SGD of a classification head alone, on features that are computed once.

The gradient of an example is the product of its error and its features, so that its norm is known
without it. Features come of a frozen body and one text each, so that they cost no privacy.
"""

from collections.abc import Sequence

import torch

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.recipe import Recipe
from fedseed.training.dp_sgd.mechanism import Mechanism
from fedseed.training.losses import labels_of, losses_and_gradient, smoothed_targets
from fedseed.training.precision_and_device import Compute
from fedseed.training.subspace.head import HeadTrainer
from fedseed.training.subspace.model import SubspaceModel


class DpHeadTrainer(HeadTrainer):
    """Takes DP-SGD steps with a head."""

    def __init__(
        self,
        model: SubspaceModel,
        recipe: Recipe,
        compute: Compute,
        table: TokenTable,
        rows: Rows,
        mechanism: Mechanism,
    ) -> None:
        """Start; see :class:`HeadTrainer`.

        Args:
            model: of which the classifier is trained.
            recipe: how.
            compute: precision of the features; the head is in fp32.
            table: the texts.
            rows: those that training draws from.
            mechanism: clips and noises.
        """
        super().__init__(model, recipe, compute, table, rows)
        self._mechanism = mechanism

    @torch.inference_mode()
    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step with a sample, which may be empty; returns its mean loss, not private."""
        (sample,) = rows
        total = torch.empty(self._weight.numel() + self._bias.numel())
        self._mechanism.fill(total, self._mechanism.generator(total.device))
        loss = 0.0
        if len(sample):
            features = self._features_of(sample)
            logits = features @ self._weight.T + self._bias
            labels = labels_of(table, sample)
            targets = smoothed_targets(labels, self._classes, self._recipe.label_smoothing)
            losses, errors = losses_and_gradient(logits, torch.from_numpy(targets))
            squares = errors.square().sum(1) * (features.square().sum(1) + 1)
            clipped = errors * self._mechanism.factors(squares)[:, None]
            clipped[~squares.isfinite()] = 0  # zero times infinity is NaN
            total += torch.cat([(clipped.T @ features).reshape(-1), clipped.sum(0)])
            loss = float(losses.sum(dtype=torch.float64)) / len(sample)
        self._adam.step((total / self._mechanism.expected)[None])
        return [loss]
