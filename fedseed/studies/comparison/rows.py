"""The rows of a comparison: a protocol with its options and recipe, each under a name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedseed.recipe import Recipe

USUAL = Recipe(optimiser="adamw", learning_rate=1e-3, schedule="linear", warmup=0.1)
"""The usual start's recipe: one rate for all weights."""
BEST = USUAL.replace(embedding_multiplier=10.0)
"""For rounds of federated averaging (docs/decisions/comparison.md)."""
ALONE = USUAL.replace(learning_rate=5e-4, embedding_multiplier=6.0, label_smoothing=0.1, steps=120)
"""For training on one client's texts, and for distillation (docs/decisions/comparison.md)."""
CENTRAL = USUAL.replace(label_smoothing=0.1)
"""For all clients' texts together."""


@dataclass(frozen=True)
class Row:
    """One way to a model."""

    words: str
    """What it is, for tables."""
    protocol: str
    """A protocol's name, or ``local`` or ``central``: the bounds, for which nothing travels."""
    recipe: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of :class:`fedseed.config.RunConfig`."""
    steps: int | None = None
    """Steps of a client in a round, or of a bound in all; the comparison's when None."""
    rounds: int | None = None
    """Rounds; the comparison's when None."""
    main: bool = True
    """Whether the row is among those that are run when none are named."""
    skewed: bool = False
    """Whether the row is then also run on the partitions after the first."""
    robustness: tuple[str, ...] = ()
    """Conditions under which the row is also run."""
    personal: bool = False
    """Whether ``--personalize`` adapts its model to every client."""


_SENTENCES = {"public": "sentences", "distil_steps": 600}
_TURNED = ("poison",)
_SHAKEN = ("dropout", "poison")
ROWS: Mapping[str, Row] = {
    "local": Row("each client alone", "local", ALONE, steps=120, skewed=True),
    "central": Row("all clients' texts together, two epochs", "central", CENTRAL),
    "recipe": Row(
        "seed and recipes down, metrics up; every client trains its own model", "recipe",
        Recipe(), rounds=2, steps=90,
    ),
    "scalars": Row(
        "projected gradients along 64 directions", "scalars",
        USUAL.replace(learning_rate=1e-4), steps=40,
    ),
    "labels": Row(
        "1-bit labels of public sentences, one shot", "labels", ALONE, _SENTENCES, steps=120,
        rounds=1, skewed=True, robustness=_SHAKEN, personal=True,
    ),
    "labels-rounds": Row(
        "1-bit labels of public sentences, several rounds", "labels", ALONE, _SENTENCES,
        main=False,
    ),
    "labels-reviews": Row(
        "1-bit labels of 5,000 reviews set aside, one shot", "labels", ALONE,
        {"public": "reviews:5000", "distil_steps": 600}, steps=120, rounds=1, main=False,
    ),
    "mask": Row("one bit a weight", "mask", BEST.replace(learning_rate=0.03)),
    "adapters": Row("low-rank factors, one frozen", "adapters", BEST.replace(learning_rate=3e-3)),
    "weights-topk": Row(
        "weights, largest 1 % of changes", "weights", BEST, {"codec": "topk"}, main=False
    ),
    "weights-int8": Row("weights, int8 changes", "weights", BEST, {"codec": "int8"}),
    "weights": Row(
        "weights, fp32", "weights", BEST, skewed=True, robustness=_SHAKEN, personal=True
    ),
    "weights-usual": Row(
        "weights, fp32, usual start and recipe", "weights", USUAL, {"scheme": "bert"}
    ),
    "weights-median": Row(
        "weights, fp32, coordinate-wise median", "weights", BEST, {"strategy": "fedmedian"},
        main=False, robustness=_TURNED,
    ),
}  # fmt: skip
"""All rows, from the fewest bytes to the most, after the bounds."""
BOUNDS = ("local", "central")
CONDITIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dropout": ("30 % of the replies lost", {"drop_rate": 0.3}),
    "poison": ("one client with turned labels", {"poisoned_clients": 1}),
}
"""What robustness is measured under, on the iid partition."""
