"""Training of a classification head alone: each text's features are computed once.

A text's features depend in their last digits on the texts that they are computed with. So they are
computed for all of a job's texts together, in one order, where training sees most of them; these
are kept for later rounds of the same frozen body. Otherwise they are computed as batches need them,
and forgotten with the job. Either way a job's result depends on the job alone.
"""

import hashlib
import math
import weakref
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.batches import padded_chunks
from fedseed.training.lean.adam import DenseAdam, rates_of
from fedseed.training.lean_trainer import LeanPredictor, suits
from fedseed.training.losses import labels_of, losses_and_gradient, smoothed_targets
from fedseed.training.precision_and_device import Compute
from fedseed.training.subspace.model import SubspaceModel
from fedseed.training.subspace.trainer import end_to_end

_WEIGHT, _BIAS = "classifier.weight", "classifier.bias"
_MOST_KEPT = 64
"""Jobs of which features are kept, the last ones: 200 MB of 2,000 texts each and 384 features."""
_Features = dict[int, Tensor]
_KNOWN: dict[int, dict[bytes, _Features]] = {}
"""By the texts' identity, then by body and the job's texts; forgotten with the table."""


def _features_of(table: TokenTable) -> dict[bytes, _Features]:
    """What is known of a table's texts."""
    if id(table) not in _KNOWN:
        weakref.finalize(table, _KNOWN.pop, id(table), None)
    return _KNOWN.setdefault(id(table), {})


def is_head_alone(model: nn.Module, recipe: Recipe, compute: Compute) -> TypeGuard[SubspaceModel]:
    """Whether nothing of a model is trained but the last layer of a lean BERT on a CPU."""
    return (
        isinstance(model, SubspaceModel)
        and isinstance(model.model, BertClassifier)
        and not model.changes
        and model.whole.keys() == {_WEIGHT, _BIAS}
        and compute.device == "cpu"
        and suits(recipe)
    )


class HeadTrainer:
    """Takes training steps with a head."""

    def __init__(
        self, model: SubspaceModel, recipe: Recipe, compute: Compute, table: TokenTable, rows: Rows
    ) -> None:
        """Start.

        Args:
            model: of which the classifier is trained.
            recipe: how.
            compute: precision of the features; the head is in fp32.
            table: the texts.
            rows: those that training draws from.
        """
        assert isinstance(model.model, BertClassifier)
        self.models = [model.model]
        self._recipe, self._compute, self._table = recipe, compute, table
        weight, bias = model.whole[_WEIGHT], model.whole[_BIAS]
        self._classes = len(weight)
        values, _ = end_to_end([weight, bias])
        self._weight, self._bias = weight.data, bias.data
        decay = np.array([recipe.weight_decay])
        self._adam = DenseAdam(values[None], weight.numel(), rates_of([recipe]), decay)
        self._predictor = LeanPredictor(model.model, compute)
        self._known: _Features = {}
        if recipe.steps * recipe.batch_size >= len(rows):
            self._known = self._of_job(model, np.unique(rows))

    @torch.inference_mode()
    def _of_job(self, model: SubspaceModel, rows: Rows) -> _Features:
        """Features of all of a job's texts, from the last time if there was one."""
        kept, key = _features_of(self._table), self._key(model, rows)
        known = kept.pop(key, None)
        if known is None:
            known = {}
            self._learn(rows, known)
        kept[key] = known  # now the newest
        while len(kept) > _MOST_KEPT:
            del kept[next(iter(kept))]
        return known

    def _key(self, model: SubspaceModel, rows: Rows) -> bytes:
        """Digest of all that decides the features."""
        assert isinstance(model.model, BertClassifier)
        about = (model.model.shape, self._compute.precision, self._recipe.max_length)
        whole = hashlib.sha256(repr(about).encode() + rows.tobytes())
        for name, part in model.model.named_parameters():
            if name not in model.whole:
                whole.update(part.detach().contiguous().numpy().data)
        return whole.digest()

    @torch.inference_mode()
    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step; see LeanTrainer."""
        (batch,) = rows
        features = self._features_of(batch)
        logits = features @ self._weight.T + self._bias
        smoothing = self._recipe.label_smoothing
        targets = smoothed_targets(labels_of(table, batch), self._classes, smoothing)
        losses, gradient = losses_and_gradient(logits, torch.from_numpy(targets))
        loss = float(losses.sum(dtype=torch.float64)) / len(batch)
        if math.isfinite(loss):
            gradient /= len(batch)
            whole = torch.cat([(gradient.T @ features).reshape(-1), gradient.sum(0)])
            self._adam.step(whole[None])
        return [loss]

    def _features_of(self, batch: Rows) -> Tensor:
        """Features of a batch, shape ``(texts, hidden)``."""
        unknown = [int(row) for row in np.unique(batch) if int(row) not in self._known]
        if unknown:
            self._learn(np.array(unknown), self._known)
        return torch.stack([self._known[int(row)] for row in batch])

    def _learn(self, rows: Rows, known: _Features) -> None:
        """Compute the features of some texts, in an order that their lengths decide."""
        most, multiple = self._recipe.max_length, self._compute.width_multiple
        budget = self._predictor.tokens_at_once
        for texts, *inputs in padded_chunks(self._table, rows, most, budget, multiple):
            found = self._predictor.pooled(*inputs)
            known.update(zip(map(int, texts), found.clone(), strict=True))

    def finish(self) -> None:
        """Nothing is left to do: what is trained is the module's own all the time."""
