"""The weights of one lean BERT, or of several, in one block of memory.

All weights but the word embedding lie end to end in one array, matrices first: an optimiser
step is a few operations on that array, and the query, key and value matrices of a layer are
one matrix without being copied together.
"""

import copy
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fedseed.models.architecture import Architecture, Shapes
from fedseed.training.lean.operations import Linear, Norm, Reduced

Directions = tuple[Tensor | None, Tensor | None]
"""Left and right, see :class:`fedseed.training.lean.operations.Reduced`."""
WORDS = "bert.embeddings.word_embeddings.weight"


class WeightStack:
    """Weights, gradients and a copy in the precision of computation.

    Attributes:
        weights: fp32, shape ``(models, size)``; biases and layer norms from ``matrices`` on.
        gradients: of the same shape.
        words: the word embeddings one below the other, shape ``(models * vocabulary, hidden)``;
            with a single model on its own device the module's own tensor.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        shape: Architecture,
        device: torch.device,
        precision: torch.dtype,
        frozen: Collection[str] = (),
        reduced: Mapping[str, Sequence[Reduced]] | None = None,
    ) -> None:
        """Copy the weights of some modules of one architecture.

        Args:
            modules: one or several.
            shape: their architecture.
            device: where to compute.
            precision: of the computation.
            frozen: names of parameters whose gradients nobody wants; they may be missing.
            reduced: what is wanted of the gradients of some of these; of all matrices that are one
                projection, or of none.
        """
        self.reduced = dict(reduced or {})
        self._frozen = frozenset(frozen)
        shapes = {name: size for name, size in shape.shapes().items() if name != WORDS}
        order = sorted(shapes, key=lambda name: len(shapes[name]) == 1)  # stable: matrices first
        self._places = _places(shapes, order)
        self._shapes = shapes
        self._eps = float(shape.layer_norm_eps)
        self.matrices = sum(math.prod(shapes[name]) for name in order if len(shapes[name]) > 1)
        # On the CPU a single model goes without the models' dimension: its operators are faster.
        self._lead = () if len(modules) == 1 and device.type == "cpu" else (len(modules),)
        states = [dict(module.named_parameters()) for module in modules]
        flat = [torch.cat([s[name].detach().reshape(-1) for name in order]) for s in states]
        self.weights = torch.stack(flat).to(device)
        self.gradients = torch.zeros_like(self.weights)
        self.computed = self.weights.to(precision)
        self.words = _below_each_other([state[WORDS].detach() for state in states], device)
        self._lanes: list[WeightStack] = [self]

    def lanes(self, count: int) -> "list[WeightStack]":
        """Stacks of the same weights, each with gradients of its own; the first is this one.

        Args:
            count: of all, at least 1.
        """
        for _ in range(count - len(self._lanes)):
            other = copy.copy(self)
            other.gradients = torch.zeros_like(self.gradients)
            other.reduced = {name: _empty(parts) for name, parts in self.reduced.items()}
            self._lanes.append(other)
        return self._lanes

    def collect(self) -> None:
        """Move all lanes' gradients into this stack's, in their order."""
        for other in self._lanes[1:]:
            self.gradients += other.gradients
            other.gradients.zero_()
            for name, parts in self.reduced.items():
                for mine, theirs in zip(parts, other.reduced[name], strict=True):
                    mine.total.add_(theirs.total)
                    theirs.total.zero_()

    def forget(self) -> None:
        """Set all gradients to zero."""
        for lane in self._lanes:
            lane.gradients.zero_()
            for part in itertools.chain.from_iterable(lane.reduced.values()):
                part.total.zero_()

    def refresh(self) -> None:
        """Bring the copy for computation up to date."""
        if self.computed is not self.weights:
            self.computed.copy_(self.weights)

    def write_back(self, modules: Sequence[nn.Module], words: Tensor | None = None) -> None:
        """Copy the weights into the modules that they came from.

        Args:
            modules: as they were given.
            words: rows of :attr:`words` that have changed, in order; all when None.
        """
        if words is None:
            words = torch.arange(len(self.words), device=self.words.device)
        weights = self.weights.cpu()  # at once: from a GPU, many small copies take long
        ends = (torch.arange(len(modules)) + 1) * (len(self.words) // len(modules))
        changed = words.cpu()
        cuts = torch.searchsorted(changed, ends).tolist()
        with torch.no_grad():
            for number, module in enumerate(modules):
                for name, parameter in module.named_parameters():
                    if name == WORDS:
                        span = slice(cuts[number - 1] if number else 0, cuts[number])
                        places = changed[span] - number * len(parameter)
                        self._words_back(parameter, words[span], places)
                        continue
                    start = self._places[name]
                    part = weights[number, start : start + parameter.numel()]
                    parameter.copy_(part.view(parameter.shape))

    def _words_back(self, table: Tensor, rows: Tensor, places: Tensor) -> None:
        """Copy some rows to their places in a module's table, unless that is :attr:`words`."""
        if table.data_ptr() != self.words.data_ptr():
            table.index_copy_(0, places, self.words.index_select(0, rows).cpu())

    def linear(self, *names: str, fp32: bool = False) -> Linear:
        """One projection; several names are projections side by side in memory.

        Args:
            names: of the parameters, without ``.weight`` and ``.bias``.
            fp32: compute in fp32 whatever the stack's precision.
        """
        block = self.weights if fp32 else self.computed
        weights = [f"{name}.weight" for name in names]
        biases = [f"{name}.bias" for name in names]
        return Linear(
            self._view(block, weights),
            self._view(block, biases),
            self._view(self.gradients, weights),
            self._view(self.gradients, biases),
            trained=not self._frozen.issuperset(weights),
            reduced=tuple(self._reduced(weights)),
        )

    def _reduced(self, weights: Sequence[str]) -> list[Reduced]:
        """What is wanted of the gradients of matrices side by side."""
        found = [self.reduced[name] for name in weights if name in self.reduced]
        if len(found) < len(weights):
            return []
        if len(found) == 1:
            return list(found[0])
        return [Reduced.side_by_side(parts) for parts in zip(*found, strict=True)]

    def follow(self, name: str, directions: Sequence[Directions]) -> None:
        """Have all lanes reduce a matrix's gradient in directions that have moved."""
        for lane in self._lanes:
            for part, pair in zip(lane.reduced.get(name, ()), directions, strict=False):
                part.follow(*pair)

    def norm(self, name: str) -> Norm:
        """One layer norm, whose weights stay in fp32."""
        weight, bias = [f"{name}.weight"], [f"{name}.bias"]
        return Norm(
            self._view(self.weights, weight),
            self._view(self.weights, bias),
            self._view(self.gradients, weight),
            self._view(self.gradients, bias),
            self._eps,
        )

    def parameter(self, name: str) -> Tensor:
        """One parameter of a single model in fp32, in its own shape."""
        return self._own(self.weights, name)

    def gradient(self, name: str) -> Tensor:
        """Its gradient."""
        return self._own(self.gradients, name)

    def _own(self, block: Tensor, name: str) -> Tensor:
        start, shape = self._places[name], self._shapes[name]
        return block[0, start : start + math.prod(shape)].view(shape)

    def matrix(self, name: str) -> tuple[Tensor, Tensor]:
        """One matrix in fp32, and its gradient."""
        return self._view(self.weights, [name]), self._view(self.gradients, [name])

    def _view(self, block: Tensor, names: Sequence[str]) -> Tensor:
        """Neighbours in the block as one array; a bias gets a dimension for the tokens."""
        shape = self._shapes[names[0]]
        start = self._places[names[0]]
        part = block[:, start : start + len(names) * math.prod(shape)]
        if len(shape) == 1:
            return part.view(*self._lead, 1, -1)
        return part.view(*self._lead, len(names) * shape[0], shape[1])


def _empty(parts: Sequence[Reduced]) -> list[Reduced]:
    """The same with sums of their own."""
    return [replace(part, total=torch.zeros_like(part.total)) for part in parts]


def _below_each_other(tables: Sequence[Tensor], device: torch.device) -> Tensor:
    """The tables in one; a single one on its own device is not copied."""
    if len(tables) == 1:
        return tables[0].to(device)
    whole = torch.empty(sum(map(len, tables)), tables[0].shape[-1], device=device)
    for part, table in zip(whole.view(len(tables), *tables[0].shape), tables, strict=True):
        part.copy_(table)
    return whole


def _places(shapes: Shapes, order: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    at = 0
    for name in order:
        places[name] = at
        at += math.prod(shapes[name])
    return places
