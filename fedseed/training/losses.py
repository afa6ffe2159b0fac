"""Losses: what texts should be classified as, cross-entropy, and a run's training loss."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable

Labels = NDArray[Any]
"""Class numbers, or class probabilities (soft labels) with one dimension more, for the classes."""


def labels_of(table: TokenTable, rows: Rows) -> Labels:
    """What some texts are trained on: their soft labels where the table has any.

    Returns:
        Class numbers, int64, shape ``(len(rows),)``; or class probabilities, fp32, shape
        ``(len(rows), classes)``.
    """
    return table.labels[rows] if table.soft is None else table.soft[rows]


def smoothed_targets(
    labels: Labels, classes: int, smoothing: float | NDArray[np.float64]
) -> NDArray[np.float32]:
    """Target probabilities with label smoothing (Szegedy et al. 2016, section 7).

    Args:
        labels: class numbers of any shape, or soft labels.
        classes: number of classes.
        smoothing: share of the uniform distribution, in [0, 1); one number, or an array that
            broadcasts against the result.

    Returns:
        The labels' shape with one dimension for the classes.
    """
    hard = np.issubdtype(labels.dtype, np.integer)
    probabilities = np.eye(classes)[labels] if hard else labels
    targets: Labels = (1 - smoothing) * probabilities + smoothing / classes
    return targets.astype(np.float32)


def losses_and_gradient(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats, class by class, and the gradient of its sum.

    Args:
        logits: fp32, shape ``(..., texts, classes)``.
        targets: probabilities of the same shape.

    Returns:
        Every class's part of a text's loss, and the gradient of the logits; both of that shape.
    """
    likelihoods = functional.log_softmax(logits, dim=-1)
    return -(targets * likelihoods), likelihoods.exp() - targets


def mean_loss(likelihoods: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Mean cross-entropy in nats of log-probabilities of shape ``(examples, classes)``."""
    return float(-likelihoods[np.arange(len(labels)), labels].astype(np.float64).mean())


def tail_loss(losses: Sequence[float]) -> float:
    """A run's training loss: the mean over the last tenth of the steps, nan without a step."""
    tail = losses[-max(1, len(losses) // 10) :]
    return float(np.mean(tail)) if tail else math.nan
