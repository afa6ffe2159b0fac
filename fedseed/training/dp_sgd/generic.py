"""DP-SGD through automatic differentiation: any module of torch's own layers, any recipe.

Per-example gradients come from opacus (Yousefpour et al. 2021, arXiv 2109.12298), which hooks into
layers and takes each layer's first dimension for the examples. The lean BERT, parametrised or not,
is stood in for by such layers (:mod:`fedseed.training.dp_sgd.layers`).
"""

import copy
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.errors import ConfigError, first_line
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.dp_sgd.layers import LayeredBert, Sample
from fedseed.training.dp_sgd.mechanism import Mechanism
from fedseed.training.generic import GenericTrainer
from fedseed.training.losses import labels_of
from fedseed.training.precision_and_device import Compute

_AT_ONCE = 8
"""Examples whose gradients are in memory together; each is as large as the model."""
Samples = dict[nn.Parameter, Sample]


class DpGenericTrainer(GenericTrainer):
    """Takes DP-SGD steps with one torch module."""

    def __init__(
        self, model: nn.Module, recipe: Recipe, compute: Compute, seed: int, mechanism: Mechanism
    ) -> None:
        """Prepare the module and its optimiser.

        Args:
            model: maps ``(input_ids, lengths)`` to logits; trained in place.
            recipe: how to train.
            compute: the device; in fp32 always, and not compiled.
            seed: decides dropout.
            mechanism: clips and noises.

        Raises:
            ConfigError: a weight has no gradients by example.
        """
        plain = dataclasses.replace(compute, precision="fp32", compile=False)
        super().__init__(model, recipe, plain, seed)
        self._mechanism = mechanism
        self._trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._layered: list[LayeredBert] = []
        self._stand_in = self._replaced(model).train()
        _check(self._stand_in)

    def _replaced(self, module: nn.Module) -> nn.Module:
        """A module with the same parameters in layers that opacus knows."""
        if isinstance(module, BertClassifier):
            self._layered.append(LayeredBert(module))
            return self._layered[-1]
        if is_parametrized(module):
            raise ConfigError("a parametrised model of this kind has no gradients by example")
        children = {name: self._replaced(child) for name, child in module.named_children()}
        if all(child is getattr(module, name) for name, child in children.items()):
            return module
        stand_in = copy.copy(module)
        stand_in._modules = dict(children)
        return stand_in

    def step(self, rows: Sequence[Rows], table: TokenTable) -> list[float]:
        """Take one step.

        Args:
            rows: one sample, longest texts first; may be empty.
            table: the tokens.

        Returns:
            The sample's mean loss before the step, nats, which is not private; 0 without a text.

        Raises:
            ConfigError: a layer's inputs do not have the examples first.
        """
        sample = rows[0]
        generator = self._mechanism.generator(torch.device(self._compute.device))
        totals = {part: torch.empty_like(part) for part in self._trained.values()}
        for total in totals.values():
            self._mechanism.fill(total, generator)
        with self._seeded_dropout():
            starts = range(0, len(sample), _AT_ONCE)
            loss = sum(self._add(sample[at : at + _AT_ONCE], table, totals) for at in starts)
        for parameter, total in totals.items():
            parameter.grad = total / self._mechanism.expected
        self._update()
        self._done += 1
        return [loss / max(1, len(sample))]

    def _add(self, rows: Rows, table: TokenTable, totals: dict[nn.Parameter, Tensor]) -> float:
        """Add some texts' clipped gradients to the totals; return the sum of their losses."""
        samples, loss = self._samples(rows, table)
        # In fp32 the norm of millions of numbers comes out too small, by up to 1e-4.
        norms = [
            torch.linalg.vector_norm(sample.gradients.flatten(1), dim=1, dtype=torch.float64)
            for sample in samples.values()
        ]
        squares = torch.stack(norms).square().sum(0).float()
        factors = self._mechanism.factors(squares)
        for part, sample in samples.items():
            flat = sample.gradients.flatten(1)
            flat[~squares.isfinite()] = 0  # zero times infinity is NaN
            clipped = (factors @ flat).view(sample.gradients.shape[1:])
            if sample.rows is None:
                totals[part] += clipped
            else:
                totals[part].index_add_(0, sample.rows, clipped)
        return loss

    def _samples(self, rows: Rows, table: TokenTable) -> tuple[Samples, float]:
        """Gradients by example of every trained parameter, and the sum of the losses."""
        device = self._compute.device
        padded, sizes = table.padded(rows, self._recipe.max_length)
        ids, lengths = torch.from_numpy(padded).to(device), torch.from_numpy(sizes).to(device)
        labels = torch.from_numpy(labels_of(table, rows)).to(device)
        for bert in self._layered:
            bert.refresh(torch.from_numpy(np.unique(padded)).to(device))
        with _hooked(self._stand_in) as hooked:
            losses = functional.cross_entropy(
                hooked(ids, lengths).float(), labels, reduction="none",
                label_smoothing=self._recipe.label_smoothing,
            )  # fmt: skip
            losses.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            gradients = {p: getattr(p, "grad_sample", None) for p in self._stand_in.parameters()}
        samples = {p: Sample(part) for p, part in gradients.items() if isinstance(part, Tensor)}
        for bert in self._layered:
            bert.pull_back(samples)
        for name, parameter in self._trained.items():
            parameter.grad = None
            if parameter not in samples or not samples[parameter].fits(parameter, len(rows)):
                raise ConfigError(f"{name} has no gradients by example: take a BERT model")
        trained = {parameter: samples[parameter] for parameter in self._trained.values()}
        return trained, float(losses.detach().double().sum())


def _check(module: nn.Module) -> None:
    """Raise a ConfigError unless opacus has a rule of its own for every layer that is trained.

    For other layers it takes their inputs' first dimension for the examples without a check.
    """
    from opacus.grad_sample import GradSampleModule

    for error in GradSampleModule.validate(module):
        raise ConfigError(f"no gradients by example: {first_line(error)}")
    for name, layer in module.named_modules():
        trained = any(part.requires_grad for part in layer.parameters(recurse=False))
        if trained and type(layer) not in GradSampleModule.GRAD_SAMPLERS:
            raise ConfigError(
                f"no gradients by example: {name or 'the model'} has weights outside torch's layers"
            )


@contextmanager
def _hooked(module: nn.Module) -> Iterator[nn.Module]:
    """The module with opacus's hooks; for one pass, so that it can be copied between steps."""
    from opacus.grad_sample import GradSampleModule

    hooked = GradSampleModule(module, loss_reduction="sum")
    try:
        with warnings.catch_warnings():
            # torch warns of the hooks of embeddings, whose inputs are integers.
            warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)
            yield hooked
    finally:
        hooked.to_standard_module()
