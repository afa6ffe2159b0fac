"""Lean training of a few numbers: the model's gradients, taken back to what is trained.

A step computes the gradients of the changed matrices, takes them back to the factors, moves these,
and writes the changed matrices anew. In bf16 only the gradients' parts in the factors' directions
are computed, which is far less.
"""

import math
from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn

from fedseed.models.architecture import Architecture
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.kernels import are_available
from fedseed.training.lean.adam import Decay, DenseAdam, Rates, RowAdam
from fedseed.training.lean.operations import Reduced
from fedseed.training.lean.stack import WORDS, WeightStack
from fedseed.training.lean_trainer import LeanTrainer, suits
from fedseed.training.precision_and_device import Compute
from fedseed.training.subspace.low_rank import Change, LowRank
from fedseed.training.subspace.model import SubspaceModel


def is_lean_subspace(
    model: nn.Module, recipe: Recipe, compute: Compute
) -> TypeGuard[SubspaceModel]:
    """Whether a model, trained with a recipe, is one of a lean BERT on a CPU."""
    return (
        isinstance(model, SubspaceModel)
        and isinstance(model.model, BertClassifier)
        and isinstance(model.changes.get(WORDS), LowRank | None)
        and compute.device == "cpu"
        and suits(recipe)
    )


class SubspaceTrainer(LeanTrainer):
    """Takes training steps with one model of which a few numbers are trained."""

    def __init__(self, model: SubspaceModel, recipe: Recipe, compute: Compute) -> None:
        """Copy the model's weights into a stack."""
        assert isinstance(model.model, BertClassifier)
        self._subspace = model
        plain = _plain(model.model, model.originals())
        reduced = _reduced(model, plain.shape, compute)
        super().__init__([plain], [recipe], compute, {*model.changes, *model.whole}, reduced)

    def _optimisers(
        self, recipes: Sequence[Recipe], rates: Rates, decay: Decay
    ) -> tuple[RowAdam, DenseAdam]:
        """See LeanTrainer: what moves the trained numbers alone."""
        del recipes  # the words' change has its multiplier in its scale
        words = self._subspace.changes.get(WORDS)
        assert words is None or isinstance(words, LowRank)
        moved = _ChangedWords(self._stack.words, words, rates, decay)
        return moved, _ChangedWeights(self._stack, self._subspace, rates, decay)

    def finish(self) -> None:
        """Bring what is trained up to date; it is the module's own all the time."""
        self._words.finish()

    def merge(self) -> None:
        """Write all changes into :attr:`models`, whose tensors are those of the frozen model.

        For a copy of a trainer, of which a model is taken and nothing else.
        """
        (model,) = self.models
        assert isinstance(self._words, _ChangedWords)
        self._stack.write_back(self.models, torch.empty(0, dtype=torch.int64))
        self._words.merge(model.get_parameter(WORDS).data)


def _reduced(
    model: SubspaceModel, shape: Architecture, compute: Compute
) -> dict[str, list[Reduced]]:
    """Matrices whose gradients are wanted in a few directions alone, and these.

    Not those of the last layer and above, which see the first token of every text only.
    """
    if compute.dtype != torch.bfloat16 or not are_available():
        return {}
    prefixes = [f"bert.encoder.layer.{number}." for number in range(shape.layers - 1)]
    names = [name for name in model.changes if name.startswith(tuple(prefixes))]
    for prefix in prefixes:  # these three are one projection
        of_one = [f"{prefix}attention.self.{part}.weight" for part in ("query", "key", "value")]
        if not set(of_one) <= set(names):
            names = [name for name in names if name not in of_one]
    return {name: _directions_of(model.changes[name]) for name in names}


def _directions_of(change: Change) -> list[Reduced]:
    return [
        Reduced(_copied(left), _copied(right), torch.zeros(part.shape))
        for (left, right), part in zip(change.directions, change.trained, strict=True)
    ]


def _copied(factor: Tensor | None) -> Tensor | None:
    return None if factor is None else factor.bfloat16()


def _plain(model: BertClassifier, parameters: dict[str, Tensor]) -> BertClassifier:
    """A model without changes that has the same tensors."""
    with torch.device("meta"):
        plain = BertClassifier(model.shape)
    plain.load_state_dict(parameters, assign=True)
    return plain


class _ChangedWords(RowAdam):
    """The word embedding, frozen or with a change of which a step moves a few rows."""

    def __init__(self, table: Tensor, change: LowRank | None, rates: Rates, decay: Decay) -> None:
        trained = torch.empty(0, 1) if change is None else change.rows.data
        super().__init__(trained, 1, rates, decay)
        self._original, self._change = table, change

    def take(self, rows: Tensor) -> Tensor:
        """See RowAdam: the changed words."""
        words = self._original.index_select(0, rows)
        if self._change is not None:
            factors = super().take(rows)
            words.addmm_(factors, self._change.columns.data, alpha=self._change.scale)
        return words

    def step(self, gradients: Tensor) -> None:
        """See RowAdam."""
        if self._change is None:
            return
        columns = self._change.columns
        if columns.grad is not None:
            torch.mm(self._current[0].T, gradients, out=columns.grad).mul_(self._change.scale)
        super().step((gradients @ columns.data.T).mul_(self._change.scale))

    def merge(self, words: Tensor) -> None:
        """Write the changed words, all of which are up to date, into a table."""
        if self._change is not None:
            columns, scale = self._change.columns.data, self._change.scale
            torch.addmm(self._original, self._table, columns, alpha=scale, out=words)


class _ChangedWeights(DenseAdam):
    """All other weights: the trained numbers lie end to end, those that decay first."""

    def __init__(
        self, stack: WeightStack, model: SubspaceModel, rates: Rates, decay: Decay
    ) -> None:
        self._stack = stack
        self._changes = {n: change for n, change in model.changes.items() if n != WORDS}
        originals = model.originals()
        self._originals = {name: originals[name] for name in self._changes}
        self._whole = model.whole
        trained = list(model.whole.values())
        for name, change in model.changes.items():
            trained += change.trained[1:] if name == WORDS else change.trained
        trained.sort(key=lambda part: part.ndim == 1)  # stable
        values, self._flat = end_to_end(trained)
        matrices = sum(part.numel() for part in trained if part.ndim > 1)
        super().__init__(values[None], matrices, rates, decay)
        self._write()

    def _write(self) -> None:
        """Bring the stack's weights up to date."""
        for name, change in self._changes.items():
            change.write(self._originals[name], self._stack.parameter(name))
            self._stack.follow(name, change.directions)
        for name, part in self._whole.items():
            self._stack.parameter(name).copy_(part.data)
        self._stack.refresh()

    def step(self, gradients: Tensor) -> None:
        """See DenseAdam; the stack's gradients become zero.

        Args:
            gradients: of the stack's weights.
        """
        for name, change in self._changes.items():
            if name in self._stack.reduced:
                change.add_reduced([part.total for part in self._stack.reduced[name]])
            else:
                change.add_gradients(self._stack.gradient(name))
        for name, part in self._whole.items():
            assert part.grad is not None
            part.grad.copy_(self._stack.gradient(name))
        super().step(self._flat[None])
        gradients.zero_()
        self._write()


def end_to_end(parts: Sequence[nn.Parameter]) -> tuple[Tensor, Tensor]:
    """Move parameters and their gradients into two arrays, of which they become views."""
    values = torch.cat([part.data.reshape(-1) for part in parts])
    gradients = torch.zeros_like(values)
    place = 0
    for part in parts:
        end = place + math.prod(part.shape)
        part.data = values[place:end].view(part.shape)
        part.grad = gradients[place:end].view(part.shape)
        place = end
    return values, gradients
