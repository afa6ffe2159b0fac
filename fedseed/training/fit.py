"""Fine-tuning and prediction: the one path that every protocol and study uses."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable, widths
from fedseed.recipe import Recipe
from fedseed.training.batches import batches, chunks, longest_first
from fedseed.training.dp_sgd.generic import DpGenericTrainer
from fedseed.training.dp_sgd.head import DpHeadTrainer
from fedseed.training.dp_sgd.lean import DpLeanTrainer
from fedseed.training.dp_sgd.mechanism import DpSgd, Mechanism, poisson_sample
from fedseed.training.generic import GenericPredictor, GenericTrainer
from fedseed.training.lanes import side_by_side
from fedseed.training.lean_trainer import LeanPredictor, LeanTrainer, is_lean
from fedseed.training.losses import tail_loss
from fedseed.training.precision_and_device import Compute
from fedseed.training.subspace.head import HeadTrainer, is_head_alone
from fedseed.training.subspace.trainer import SubspaceTrainer, is_lean_subspace

_AnyTrainer = LeanTrainer | HeadTrainer | GenericTrainer | DpLeanTrainer | DpGenericTrainer
Progress = Callable[[int, float], None]
Watch = Callable[[Sequence[float], Callable[[], nn.Module]], bool]
"""Called after every step with the losses so far and a function that returns a copy of the model
as it is now; training ends when it returns True. Losses are not private, whatever the training."""


@dataclass(frozen=True)
class FitResult:
    """What a fine-tuning run reports about itself."""

    steps: int
    """Optimiser steps taken; fewer than the recipe's when the loss left the finite numbers."""
    train_loss: float
    """Mean loss over the last tenth of the steps, nats; nan without a step, and nan after
    differentially private training, whose noise does not cover the losses."""
    diverged: bool
    """Whether the loss left the finite numbers; after differentially private training, which takes
    all its steps, whether the weights did."""


@dataclass(frozen=True)
class FitJob:
    """One model to fine-tune in place."""

    model: nn.Module
    """Maps ``(input_ids, lengths)`` to logits of shape ``(batch, classes)``."""
    table: TokenTable
    rows: Rows
    """Training rows of the table; every epoch visits each once, in a new order. Differentially
    private training has no epochs: each step takes each row by chance."""
    recipe: Recipe
    rng: np.random.Generator
    """Decides the order of the examples, the dropout, and the noise of private training."""


@dataclass
class _Run:
    """How far one job is."""

    job: FitJob
    dp: DpSgd | None = None
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        job, size = self.job, self.job.recipe.batch_size
        self.dropout_seed = int(job.rng.integers(2**63))
        self.batches = batches(job.rows, size, job.rng)
        self.mechanism = self.dp and Mechanism(self.dp, size, len(job.rows), job.rng)

    @property
    def diverged(self) -> bool:
        """Never so in private training: when it ends must not depend on an example."""
        return bool(self.losses) and not math.isfinite(self.losses[-1]) and not self.mechanism

    def next_rows(self) -> Rows:
        if self.mechanism:
            rows = poisson_sample(self.job.rows, self.mechanism.rate, self.job.rng)
        else:
            rows = next(self.batches)
        return rows[longest_first(self.job.table.lengths(rows, self.job.recipe.max_length))]

    def result(self) -> FitResult:
        if self.mechanism:
            weights = self.job.model.parameters()
            diverged = not all(bool(part.isfinite().all()) for part in weights)
            return FitResult(len(self.losses), math.nan, diverged)
        return FitResult(len(self.losses), tail_loss(self.losses), self.diverged)


def fit(
    model: nn.Module,
    table: TokenTable,
    rows: Rows,
    recipe: Recipe,
    rng: np.random.Generator,
    compute: Compute = Compute(),  # noqa: B008  # frozen
    progress: Progress | None = None,
    watch: Watch | None = None,
    dp: DpSgd | None = None,
) -> FitResult:
    """Fine-tune a model in place; the same inputs give the same bits at one thread.

    Args:
        model: see :class:`FitJob`, as are table, rows, recipe and rng.
        table: the tokens.
        rows: training rows.
        recipe: how to train.
        rng: decides every random choice.
        compute: precision and device.
        progress: called with the steps done and the loss of the last one.
        watch: looks at the model between steps, and may end the training.
        dp: for differentially private training; see :mod:`fedseed.training.dp_sgd`.

    Returns:
        Steps, loss and whether training diverged.

    Raises:
        ConfigError: ``dp`` with a model that has no gradients by example, or without a row.
    """
    return fit_together([FitJob(model, table, rows, recipe, rng)], compute, progress, watch, dp)[0]


def fit_together(
    jobs: Sequence[FitJob],
    compute: Compute,
    progress: Progress | None = None,
    watch: Watch | None = None,
    dp: DpSgd | None = None,
) -> list[FitResult]:
    """Fine-tune several models at once, as one stacked model; each gets its own result.

    Args:
        jobs: models of one architecture in the lean form when there is more than one, with
            one table; their recipes may differ in rates, decay and smoothing only
            (:func:`can_be_stacked`).
        compute: precision and device.
        progress: called with the steps done and the first job's loss.
        watch: looks at the first job's model between steps; may end the training of all.
        dp: for differentially private training, of one job after another; ``watch`` then ends the
            first job's alone.

    Raises:
        ConfigError: see :func:`fit`.
    """
    if dp is not None and len(jobs) > 1:  # samples differ in size
        first = fit_together(jobs[:1], compute, progress, watch, dp)
        return first + [fit_together([job], compute, dp=dp)[0] for job in jobs[1:]]
    runs = [_Run(job, dp) for job in jobs]
    trainer = _trainer(runs, compute)
    for step, losses in enumerate(_steps(trainer, runs)):
        for run, loss in zip(runs, losses, strict=True):
            if not run.diverged:
                run.losses.append(loss)
        if all(run.diverged for run in runs):
            break
        if progress:
            progress(step + 1, runs[0].losses[-1])
        if watch and watch(runs[0].losses, lambda: _copy_of(trainer)):
            break
    trainer.finish()
    return [run.result() for run in runs]


def _trainer(runs: Sequence[_Run], compute: Compute) -> _AnyTrainer:
    """The fastest trainer that can do it."""
    jobs = [run.job for run in runs]
    recipe, mechanism = jobs[0].recipe, runs[0].mechanism
    models = [job.model for job in jobs if is_lean(job.model, job.recipe)]
    if len(models) == len(jobs):
        if mechanism:
            return DpLeanTrainer(models[0], recipe, compute, mechanism)
        return LeanTrainer(models, [job.recipe for job in jobs], compute)
    assert len(jobs) == 1, "only lean models can be stacked"
    if is_head_alone(jobs[0].model, recipe, compute):
        texts = jobs[0].table, jobs[0].rows
        if mechanism:
            return DpHeadTrainer(jobs[0].model, recipe, compute, *texts, mechanism)
        return HeadTrainer(jobs[0].model, recipe, compute, *texts)
    if mechanism is None and is_lean_subspace(jobs[0].model, recipe, compute):
        return SubspaceTrainer(jobs[0].model, recipe, compute)
    seed = runs[0].dropout_seed
    if mechanism:
        return DpGenericTrainer(jobs[0].model, recipe, compute, seed, mechanism)
    return GenericTrainer(jobs[0].model, recipe, compute, seed)


def _steps(trainer: _AnyTrainer, runs: Sequence[_Run]) -> Iterator[list[float]]:
    """Take the recipe's steps; yield the losses of each."""
    table, steps = runs[0].job.table, runs[0].job.recipe.steps
    if not (isinstance(trainer, LeanTrainer) and trainer.in_background):
        for _ in range(steps):
            yield trainer.step([run.next_rows() for run in runs], table)
        return
    if steps:
        batch = trainer.prepare([run.next_rows() for run in runs], table)
    for left in reversed(range(steps)):
        losses = trainer.start(batch)
        if left:  # the device works on the last batch meanwhile
            batch = trainer.prepare([run.next_rows() for run in runs], table)
        yield trainer.losses(losses)


def _copy_of(trainer: _AnyTrainer) -> nn.Module:
    """The first model as it would be if training ended now."""
    snapshot = copy.deepcopy(trainer)
    snapshot.finish()
    if isinstance(snapshot, SubspaceTrainer):
        with torch.no_grad():
            snapshot.merge()
    return snapshot.models[0]


def can_be_stacked(first: FitJob, other: FitJob) -> bool:
    """Whether two jobs can be one stacked model."""
    free = {"learning_rate": 1e-3, "embedding_multiplier": 1.0, "label_smoothing": 0.0}
    return (
        is_lean(first.model, first.recipe)
        and is_lean(other.model, other.recipe)
        and first.model.shape == other.model.shape
        and first.table is other.table
        and first.recipe.replace(**free) == other.recipe.replace(**free)
    )


def predict(
    model: nn.Module,
    table: TokenTable,
    rows: Rows,
    max_length: int,
    compute: Compute = Compute(),  # noqa: B008  # frozen
) -> NDArray[np.float32]:
    """Return the log-probabilities of some texts, shape ``(len(rows), classes)``.

    Texts are taken in order of their length, so that little padding is computed; the result
    is in the order of ``rows``.
    """
    lengths = table.lengths(rows, max_length)
    order = longest_first(lengths)
    logits: LeanPredictor | GenericPredictor
    logits = LeanPredictor(model, compute) if is_lean(model) else GenericPredictor(model, compute)
    multiple = compute.width_multiple
    padded = widths(lengths[order], max_length, multiple)
    cuts = list(chunks(padded, logits.tokens_at_once))

    @torch.inference_mode()
    def work(lane: int) -> list[NDArray[np.float32]]:
        done = []
        for chunk in cuts[lane :: logits.lanes]:
            ids, sizes = table.padded(rows[order[chunk]], max_length, multiple)
            of_chunk = logits(torch.from_numpy(ids), torch.from_numpy(sizes), lane)
            done.append(functional.log_softmax(of_chunk.float(), dim=-1).cpu().numpy())
        return done

    by_lane = side_by_side(work, logits.lanes)
    in_order = [by_lane[n % logits.lanes][n // logits.lanes] for n in range(len(cuts))]
    sorted_likelihoods = np.concatenate(in_order)
    likelihoods = np.empty_like(sorted_likelihoods)
    likelihoods[order] = sorted_likelihoods
    return likelihoods
