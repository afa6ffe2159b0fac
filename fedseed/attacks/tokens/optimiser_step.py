"""One optimiser step of a client, read backwards: from the states before and after to gradients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats
from fedseed.attacks.tokens.vocabulary import WORDS
from fedseed.recipe import Recipe

State = Mapping[str, NDArray[Any]]

POSITIONS = "bert.embeddings.position_embeddings.weight"
LEAST = 1e-20
"""Stands for 0 where something is divided by."""


@dataclass(frozen=True)
class Step:
    """What one optimiser step did to a model."""

    before: State
    moves: dict[str, Floats]
    """Movement divided by the learning rate, weight decay taken out. Of SGD the gradient, since
    momentum's first step has none; of Adam g / (|g| + 1e-8)."""
    noise: dict[str, float]
    """Standard deviation of a move that fp32 rounding alone makes."""


def read_step(before: State, after: State, recipe: Recipe) -> Step:
    """Undo the arithmetic of one optimiser step.

    Args:
        before: the state that went down.
        after: the state that came up after one step, in fp32.
        recipe: the recipe that went down.
    """
    moves: dict[str, Floats] = {}
    noise: dict[str, float] = {}
    for name, old in before.items():
        rate = recipe.rate(0) * (recipe.embedding_multiplier if name == WORDS else 1.0)
        decay = recipe.weight_decay if old.ndim > 1 else 0.0
        # Decay adds decay * weight to the gradient or, decoupled, to the movement: alike here.
        wide = old.astype(np.float64)
        moves[name] = (wide - after[name]) / rate - decay * wide
        spacing = np.spacing(np.maximum(np.abs(after[name]), np.float32(LEAST)))
        noise[name] = float(np.sqrt(np.mean(np.square(spacing, dtype=np.float64)) / 12)) / rate
    return Step(before, moves, noise)


def positions_used(step: Step) -> int:
    """Tokens of the longest text: a position that no text reaches does not move."""
    used = np.sqrt(np.square(step.moves[POSITIONS]).mean(axis=1)) > 4 * step.noise[POSITIONS]
    return len(used) if used.all() else int(used.argmin())
