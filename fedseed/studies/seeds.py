"""The seeds that studies start from, by their rows: of weights, of a key, or of training texts."""

import functools
from collections.abc import Mapping
from typing import Any

from fedseed.linear.extraction import lexicon_of
from fedseed.models.architecture import Floats
from fedseed.seeds.base import Seed
from fedseed.seeds.kinds.lexicon import LexiconOptions, can_carry
from fedseed.seeds.kinds.lexicon.words import Lexicon
from fedseed.seeds.make import make_row
from fedseed.seeds.registry import kind_of_row, seed_rows
from fedseed.studies.base import dataset_of
from fedseed.studies.options import StudyOptions


def is_of_texts(row: str) -> bool:
    """Whether a row's seed is made of labelled texts."""
    return kind_of_row(row).made_from == "texts"


def usable_rows(model: str, classes: int) -> list[str]:
    """Rows whose seeds a model can be assembled from."""
    return [row for row in seed_rows() if not is_of_texts(row) or can_carry(model, classes)]


def seed_of_row(
    config: StudyOptions, row: str, key: int, weights: Mapping[str, Floats] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Seed:  # fmt: skip
    """The seed of a row, for a study's model and data.

    Args:
        config: the study's options.
        row: see :func:`fedseed.seeds.registry.seed_rows`.
        key: of everything that is drawn.
        weights: of the original, for kinds that are extracted from them.
        options: further ones of the kind.

    Raises:
        SeedError: it cannot be made of this model or of these texts.
        ConfigError: an option is impossible.
    """
    kind = kind_of_row(row)
    chosen = {**kind.rows[row].options, **(options or {})}
    extract = _lexicon(config, kind.options.parse(chosen)) if is_of_texts(row) else None
    labels = dataset_of(config).labels
    return make_row(row, config.model, labels, key, weights, options, extract)


@functools.lru_cache(maxsize=1)
def _lexicon(config: StudyOptions, options: LexiconOptions) -> Lexicon:
    """A lexicon of all training texts, made once for each process."""
    return lexicon_of(dataset_of(config), config.length, options)
