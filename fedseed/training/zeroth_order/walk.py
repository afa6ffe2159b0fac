"""Training steps along directions: two losses a step and no gradient."""

import numpy as np
import torch

from fedseed.training.batches import batches
from fedseed.training.fit import FitResult
from fedseed.training.losses import tail_loss
from fedseed.training.zeroth_order.directions import Directions, Scalars
from fedseed.training.zeroth_order.surface import LossSurface

REACH = 1e-4
"""How far from the weights, along a direction, the two losses are taken: epsilon."""
LARGEST = 100.0
"""A sum of moves beyond this is not believed; training that gets there has diverged."""


def walk(surface: LossSurface, directions: Directions) -> tuple[FitResult, Scalars]:
    """Train a surface's module in place; the same inputs give the same bits at one thread.

    Every step draws a batch and a direction. The recipe gives the steps, batches, rates (schedule
    and warm-up) and label smoothing; optimiser, decay, dropout and the embedding's multiplier have
    no meaning here. Training ends when a loss is not finite or a sum of moves not believable; the
    step that leads there is not taken.

    Args:
        surface: the module, its texts and its recipe.
        directions: the run's.

    Returns:
        How it went, and where it led: the sum of the moves along each direction.
    """
    job, recipe = surface.job, surface.job.recipe
    order = batches(job.rows, recipe.batch_size, job.rng)
    sums = np.zeros(directions.count)
    losses: list[float] = []
    diverged = False
    with torch.inference_mode():
        for step in range(recipe.steps):
            surface.see(next(order))
            number = int(job.rng.integers(directions.count))
            direction = surface.direction(directions, number)
            above, below = surface.loss(direction, REACH), surface.loss(direction, -REACH)
            move = -recipe.rate(step) * (above - below) / (2 * REACH)
            losses.append((above + below) / 2)
            if not abs(sums[number] + move) <= LARGEST:  # nor if it is NaN
                diverged = True
                break
            sums[number] += move
            surface.move(direction, move)
        surface.finish()
    return FitResult(len(losses), tail_loss(losses), diverged), sums.astype(np.float32)
