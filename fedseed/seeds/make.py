"""Make a seed of any kind: from weights, from a key, or by the name of published weights."""

from collections.abc import Mapping
from typing import Any

from fedseed.models.architecture import Floats
from fedseed.models.registry import find_model
from fedseed.seeds.base import Material, Seed
from fedseed.seeds.registry import find_kind, format_of, kind_of_row


def make_seed(
    kind: str,
    model: str,
    labels: int,
    key: int,
    weights: Mapping[str, Floats] | None = None,
    options: Mapping[str, Any] | None = None,
    extract: Any = None,
) -> Seed:
    """Make a seed.

    Args:
        kind: its name.
        model: the architecture's name.
        labels: number of classes; 0 for a language model.
        key: of everything that is drawn, in [0, 2**64).
        weights: the model's, for kinds that are extracted from them.
        options: the kind's, by name.
        extract: what was extracted from texts, for kinds that are made of them.

    Raises:
        SeedError: there is no such kind, or it cannot be made of this model.
        ConfigError: the model cannot be found, or an option is unknown or impossible.
    """
    shapes = find_model(model, labels).shapes()
    parsed = find_kind(kind).options.parse(options or {})
    return format_of(kind).make(Material(model, labels, shapes, key, parsed, weights, extract))


def make_row(
    row: str,
    model: str,
    labels: int,
    key: int,
    weights: Mapping[str, Floats] | None = None,
    options: Mapping[str, Any] | None = None,
    extract: Any = None,
) -> Seed:
    """Make the seed of a row of the studies.

    Args:
        row: its name, see :func:`fedseed.seeds.registry.seed_rows`.
        model: see :func:`make_seed`.
        labels: see there.
        key: see there.
        weights: of the original, see there.
        options: further ones of the kind; they win over the row's.
        extract: see :func:`make_seed`.

    Raises:
        SeedError: there is no such row, or it cannot be made of this model.
        ConfigError: see :func:`make_seed`.
    """
    kind = kind_of_row(row)
    all_options = {**kind.rows[row].options, **(options or {})}
    return make_seed(kind.name, model, labels, key, weights, all_options, extract)
