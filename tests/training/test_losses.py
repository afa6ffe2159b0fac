"""Targets, cross-entropy and what is reported of it, against torch's and by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from fedseed.data.tokens import TokenTable
from fedseed.training.losses import (
    labels_of,
    losses_and_gradient,
    mean_loss,
    smoothed_targets,
    tail_loss,
)

SOFT = np.array([[0.9, 0.1], [0.25, 0.75], [0.5, 0.5]], dtype=np.float32)


def test_soft_labels_come_before_class_numbers() -> None:
    tokens, offsets = np.arange(3, dtype=np.uint16), np.arange(4)
    table = TokenTable(tokens, offsets, np.array([0, 1, 1]))
    rows = np.array([2, 0])
    assert labels_of(table, rows).tolist() == [1, 0]
    soft = TokenTable(tokens, offsets, table.labels, SOFT)
    assert np.array_equal(labels_of(soft, rows), SOFT[rows])


@pytest.mark.parametrize("labels", [np.array([0, 1, 1]), SOFT])
def test_cross_entropy_of_smoothed_targets_is_that_of_torch(labels: np.ndarray) -> None:
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    wanted = functional.cross_entropy(
        logits, torch.from_numpy(labels), label_smoothing=0.1, reduction="none"
    )
    wanted.sum().backward()
    targets = smoothed_targets(labels, 2, 0.1)
    assert targets.dtype == np.float32
    assert np.allclose(targets.sum(-1), 1)
    parts, gradient = losses_and_gradient(logits.detach(), torch.from_numpy(targets))
    assert torch.allclose(parts.sum(-1), wanted.detach(), atol=1e-6)
    assert logits.grad is not None
    assert torch.allclose(gradient, logits.grad, atol=1e-6)


def test_each_model_of_a_stack_has_its_smoothing() -> None:
    targets = smoothed_targets(np.array([[0], [0]]), 2, np.array([0.0, 0.5])[:, None, None])
    assert targets.tolist() == [[[1.0, 0.0]], [[0.75, 0.25]]]


def test_mean_loss_by_hand() -> None:
    scores = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32))
    expected = -np.mean(np.log([0.9, 0.4, 0.8, 0.4]))
    assert mean_loss(scores, np.array([0, 0, 1, 1])) == pytest.approx(expected)


def test_a_training_loss_is_that_of_the_last_tenth() -> None:
    assert tail_loss([9.0] * 18 + [1.0, 2.0]) == 1.5
    assert tail_loss([3.0, 4.0]) == 4.0
    assert math.isnan(tail_loss([]))
