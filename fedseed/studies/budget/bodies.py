"""Published bodies in the budget study: what of them is trained, and at which rate."""

from collections.abc import Mapping

from torch import nn

from fedseed.protocols.adapters.low_rank import AdaptedModel
from fedseed.protocols.adapters.messages import Layout
from fedseed.protocols.coordinates.client import MovedModel
from fedseed.protocols.rows import BODY_ALONE, Row
from fedseed.recipe import Recipe
from fedseed.runs.original import start_seed
from fedseed.seeds.assemble import grow, shapes_of
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.coordinates.space import Space
from fedseed.studies.budget.options import ADAPTED, MOVED, WHOLE, BudgetOptions
from fedseed.studies.rows import ROWS

_ROWS = {WHOLE: "weights", ADAPTED: "adapters", MOVED: "coordinates-4k"}
"""Rows of the comparison that train the same numbers, by start."""


def _row(start: str) -> Row:
    row = ROWS[_ROWS[start]].body
    assert row is not None, f"{_ROWS[start]} is run with a body"
    return row


RECIPES: Mapping[str, Recipe] = {start: _row(start).recipe for start in _ROWS} | {WHOLE: BODY_ALONE}
_FACTORS, _CORES = 4, int(_row(MOVED).options["rank"])


def body_seed(config: BudgetOptions, classes: tuple[str, ...], key: int) -> bytes:
    """The encoded seed that names the study's body.

    Raises:
        ConfigError: the model's weights cannot be found here.
    """
    return encode(start_seed(config.model, classes, "", key))


def body_model(start: str, seed: bytes) -> nn.Module:
    """The seed's model, of which that is trained which a start says."""
    if start == ADAPTED:
        layout = Layout.of(shapes_of(seed), _FACTORS, "lora", "attention")
        return AdaptedModel(seed, layout, layout.start(seed), 1.0)
    if start == MOVED:
        space = Space.of(shapes_of(seed), _CORES)
        return MovedModel(seed, space, space.start())
    return grow(seed)
