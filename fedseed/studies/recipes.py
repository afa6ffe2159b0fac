"""Recipes that more than one study trains with (docs/decisions/studies.md)."""

from fedseed.protocols.rows import USUAL
from fedseed.recipe import Recipe

GOOD = Recipe(
    optimiser="adamw", learning_rate=1e-3, embedding_multiplier=10.0, schedule="linear",
    warmup=0.1, steps=120,
)  # fmt: skip
"""A plain choice, not tuned for any seed."""
CENTRAL = USUAL.replace(label_smoothing=0.1)
"""For all clients' texts together."""
CENTRAL_EPOCHS = 2
