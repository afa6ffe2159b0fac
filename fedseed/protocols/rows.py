"""Rows of the comparison: a protocol with its options and recipe, each under a name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedseed.recipe import Recipe

USUAL = Recipe(optimiser="adamw", learning_rate=1e-3, schedule="linear", warmup=0.1)
"""The usual start's recipe: one rate for all weights."""
BEST = USUAL.replace(embedding_multiplier=10.0)
"""For rounds of federated averaging (docs/decisions/comparison.md)."""
FROM_WORDS = BEST.replace(embedding_multiplier=300.0)
"""The same from a lexicon seed, whose word embeddings are 64 times a random one's."""
OF_BODY = USUAL.replace(learning_rate=2e-4)
"""For a published body."""
BODY_ALONE = OF_BODY.replace(learning_rate=1e-4)
"""For all weights of a body on one client's texts: after 150 steps on 1,660 reviews 89.3 %, with
twice the rate 88.2, once each, on 1,500 training texts set aside."""
ALONE = USUAL.replace(learning_rate=5e-4, embedding_multiplier=6.0, label_smoothing=0.1, steps=120)
"""For training on one client's texts, and for distillation (docs/decisions/comparison.md)."""


@dataclass(frozen=True)
class Row:
    """One way to a model, with everything that decides its result."""

    words: str
    """What it is, for tables."""
    recipe: Recipe = BEST
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of a federated run, the protocol's own among them."""
    steps: int | None = None
    """Steps of a client in a round; the comparison's when None."""
    rounds: int | None = None
    """Rounds; the comparison's when None."""
    main: bool = True
    """Whether the row is among those that are run when none are named."""
    skewed: bool = False
    """Whether the row is then also run on the partitions after the first."""
    robustness: tuple[str, ...] = ()
    """Conditions under which the row is also run: ``dropout``, ``poison``."""
    personal: bool = False
    """Whether ``--personalize`` adapts its model to every client."""
    attacked: bool = True
    """Whether the privacy study attacks the row when none are named."""
    attacked_recipe: Recipe | None = None
    """How clients train where the privacy study attacks the row; as always when None."""
    attacked_options: Mapping[str, Any] = field(default_factory=dict)
    """Options that are others there, mostly for time: attackers make many models."""
    slowdown: float = 1.0
    """Time of a training step, in those of federated averaging; for the time left."""
    body: "Row | None" = None
    """The same with a published body; None where it is not run with one."""
