"""Training of a classification head alone: each text's features are computed once.

They are kept beside the texts for as long as these are there, so that later rounds of the same
frozen body, and other clients of the same process, have them.
"""

import hashlib
import weakref
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable, widths
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.batches import chunks, longest_first
from fedseed.training.lean.adam import DenseAdam, rates_of
from fedseed.training.lean_trainer import LeanPredictor, suits
from fedseed.training.losses import labels_of, losses_and_gradient, smoothed_targets
from fedseed.training.precision_and_device import Compute
from fedseed.training.subspace.model import SubspaceModel

_WEIGHT, _BIAS = "classifier.weight", "classifier.bias"
_MOST_KEPT = 100_000
"""Texts whose features are kept; of a hidden size of 384 these are 150 MB."""
_Features = dict[int, Tensor]
_KNOWN: dict[int, dict[str, _Features]] = {}
"""By the texts' identity, then by body, precision and length."""


def _features_of(table: TokenTable) -> dict[str, _Features]:
    """What is known of a table's texts; forgotten with the table."""
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

    def __init__(self, model: SubspaceModel, recipe: Recipe, compute: Compute) -> None:
        """Start.

        Args:
            model: of which the classifier is trained.
            recipe: how.
            compute: precision of the features; the head is in fp32.
        """
        assert isinstance(model.model, BertClassifier)
        self.models = [model.model]
        self._recipe, self._compute = recipe, compute
        weight, bias = model.whole[_WEIGHT], model.whole[_BIAS]
        self._classes = len(weight)
        values = torch.cat([weight.data.reshape(-1), bias.data])[None]
        weight.data = values[0, : -self._classes].view_as(weight)
        bias.data = values[0, -self._classes :]
        self._weight, self._bias = weight.data, bias.data
        decay = np.array([recipe.weight_decay])
        self._adam = DenseAdam(values, weight.numel(), rates_of([recipe]), decay)
        self._predictor = LeanPredictor(model.model, compute)
        body = b"".join(
            part.detach().numpy().tobytes()
            for name, part in model.model.named_parameters()
            if name not in model.whole
        )
        self._key = f"{hashlib.sha256(body).hexdigest()} {compute.precision} {recipe.max_length}"

    @torch.inference_mode()
    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step; see LeanTrainer."""
        (batch,) = rows
        features = self._features(batch, table)
        logits = features @ self._weight.T + self._bias
        smoothing = self._recipe.label_smoothing
        targets = smoothed_targets(labels_of(table, batch), self._classes, smoothing)
        losses, gradient = losses_and_gradient(logits, torch.from_numpy(targets))
        gradient /= len(batch)
        whole = torch.cat([(gradient.T @ features).reshape(-1), gradient.sum(0)])
        self._adam.step(whole[None])
        return [float(losses.sum(dtype=torch.float64)) / len(batch)]

    def _features(self, rows: Rows, table: TokenTable) -> Tensor:
        """Features of some texts, shape ``(len(rows), hidden)``."""
        known = _features_of(table).setdefault(self._key, {})
        if len(known) > _MOST_KEPT:
            known.clear()
        unknown = [int(row) for row in np.unique(rows) if int(row) not in known]
        if unknown:
            self._learn(np.array(unknown), table, known)
        return torch.stack([known[int(row)] for row in rows])

    def _learn(self, rows: Rows, table: TokenTable, known: _Features) -> None:
        most, multiple = self._recipe.max_length, self._compute.width_multiple
        rows = rows[longest_first(table.lengths(rows, most))]
        padded = widths(table.lengths(rows, most), most, multiple)
        for chunk in chunks(padded, self._predictor.tokens_at_once):
            ids, lengths = table.padded(rows[chunk], most, multiple)
            found = self._predictor.pooled(torch.from_numpy(ids), torch.from_numpy(lengths))
            known.update(zip(map(int, rows[chunk]), found.clone(), strict=True))

    def finish(self) -> None:
        """Nothing is left to do: what is trained is the module's own all the time."""
