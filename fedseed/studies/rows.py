"""The rows that studies run: a protocol with its options and recipe, each under a name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fedseed.config import RunConfig
from fedseed.protocols import find_protocol
from fedseed.protocols.rows import ALONE, BEST, USUAL
from fedseed.recipe import Recipe
from fedseed.studies.options import RowOptions
from fedseed.studies.recipes import CENTRAL


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
_FLIPPED = ("poison",)
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
        main=False, robustness=_FLIPPED,
    ),
}  # fmt: skip
"""All rows, from the fewest bytes to the most, after the bounds."""
BOUNDS = ("local", "central")
CONDITIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dropout": ("30 % of the replies lost", {"drop_rate": 0.3}),
    "poison": ("one client with flipped labels", {"poisoned_clients": 1}),
}
"""What robustness is measured under, on the iid partition."""


def partition_options(name: str) -> dict[str, Any]:
    """Options of a federated run for a partition such as ``iid`` or ``dirichlet-0.1``."""
    scheme, _, alpha = name.partition("-")
    try:
        if scheme in ("iid", "shards") and not alpha:
            return {"partition": scheme}
        if scheme in ("dirichlet", "quantity") and 0 < float(alpha) <= 1e6:
            return {"partition": scheme, "alpha": float(alpha)}
    except ValueError:
        pass
    raise ValueError(f"unknown '{name}': write iid, shards, dirichlet-ALPHA or quantity-ALPHA")


def run_config(
    config: RowOptions, row: Row, partition: str, condition: str, repeat: int
) -> tuple[RunConfig, Recipe]:
    """The federated run of a cell, and its recipe.

    Args:
        config: the study's options.
        row: what is run.
        partition: such as ``iid`` or ``dirichlet-0.1``.
        condition: one of :data:`CONDITIONS`, or empty.
        repeat: shifts the run seed.
    """
    federated = row.protocol not in BOUNDS
    steps = config.cut(row.steps or config.steps)
    options: dict[str, Any] = {
        "clients": config.clients, "newcomers": 1, "rounds": row.rounds or config.rounds,
        "steps": steps, "workers": "1", "model": config.model, "data": config.data,
        "text_column": config.text_column, "label_column": config.label_column,
        "max_length": config.length, "test_examples": config.test_examples,
        "run_seed": config.run_seed + repeat, "precision": config.precision,
        "device": "cpu", "protocol": row.protocol if federated else "recipe",
    }  # fmt: skip
    options |= {**partition_options(partition), **row.options, "steps": steps}
    if condition:
        options.update(CONDITIONS[condition][1])
    if "distil_steps" in options:
        options["distil_steps"] = config.cut(options["distil_steps"])
    recipe = row.recipe.replace(
        steps=config.cut(row.recipe.steps), max_length=min(config.length, row.recipe.max_length)
    )
    return RunConfig.parse(options), recipe


def described_protocols(rows: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Descriptions of the protocols that some rows run, by name, for a record."""
    names = dict.fromkeys(ROWS[row].protocol for row in rows)
    return {name: find_protocol(name).to_record() for name in names if name not in BOUNDS}
