"""The seeds that studies compare, by the names of their rows."""

from collections.abc import Mapping
from pathlib import Path

from fedseed.errors import ConfigError
from fedseed.models.architecture import State
from fedseed.models.registry import find_model
from fedseed.options import is_whole
from fedseed.seeds.base import Seed
from fedseed.seeds.minimal import minimal_seed
from fedseed.seeds.pca import PcaOptions, pca_seed
from fedseed.seeds.random import random_seed
from fedseed.seeds.stats import stats_seed

EXTRACTED = ("minimal", "stats", "pca")
ROWS = {
    "random-bert": "random, scheme bert",
    "random-scaled": "random, scheme scaled",
    "minimal": "minimal: global moments",
    "stats": "stats: moments of each tensor",
    "pca": "pca: components, moments, sparsity",
}
"""Seed kinds in the order of the seed documents, random in both schemes."""


def make_seed(
    row: str,
    model: str,
    labels: int,
    key: int,
    weights: State | None = None,
    pca: PcaOptions = PcaOptions(),  # noqa: B008  # frozen
) -> Seed:
    """Make the seed of a row.

    Args:
        row: one of :data:`ROWS`.
        model: the architecture's name.
        labels: number of classes; 0 for a language model.
        key: of everything that is drawn.
        weights: of the original, for the kinds that are extracted.
        pca: what the pca seed keeps.

    Raises:
        SeedError: the seed cannot be made of this model.
    """
    if row.startswith("random-"):
        return random_seed(model, labels, key, row.removeprefix("random-"))
    if weights is None or row not in EXTRACTED:
        raise ConfigError(f"unknown seed '{row}': choose from {', '.join(ROWS)}")
    shapes = find_model(model, labels).shapes()
    if row == "pca":
        return pca_seed(model, labels, shapes, weights, key, pca)
    make = minimal_seed if row == "minimal" else stats_seed
    return make(model, labels, shapes, weights, key)


def read_weights(path: Path) -> State:
    """Tensors of a safetensors file, as float32.

    Raises:
        ConfigError: the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {name: part.float().numpy() for name, part in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"the weights in {path} cannot be read: {error}") from error


def budgets(words: Mapping[str, int] | str) -> dict[str, int]:
    """Read ``PATTERN=K,PATTERN=K``: components by pattern of a tensor's name.

    Raises:
        ConfigError: not of that form.
    """
    if not isinstance(words, str):
        return dict(words)
    parts = [part.rpartition("=") for part in words.split(",") if part]
    if not all(pattern and is_whole(number) for pattern, _, number in parts) or (
        words and not parts
    ):
        raise ConfigError(f"budgets '{words}': write PATTERN=K, such as *word_embeddings*=4")
    return {pattern: int(number) for pattern, _, number in parts}
