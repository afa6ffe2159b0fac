"""Seeds of labelled texts: what the command ``extract`` and the studies make of a data set."""

from collections.abc import Mapping
from typing import Any

from fedseed.data.federated_dataset import open_dataset
from fedseed.data.options import DataOptions
from fedseed.data.tokenise import Progress
from fedseed.data.tokens import Dataset
from fedseed.linear.extraction import lexicon_of
from fedseed.seeds.base import Seed
from fedseed.seeds.kinds.lexicon import LexiconOptions
from fedseed.seeds.kinds.lexicon.format import refuse_too_many_classes
from fedseed.seeds.make import make_seed


def seed_of_texts(
    dataset: Dataset, model: str, max_length: int, key: int, options: Mapping[str, Any]
) -> Seed:
    """A lexicon seed of a data set's training texts.

    Args:
        dataset: a tokenised data set.
        model: an architecture that starts from a random generator.
        max_length: tokens of a text that count.
        key: of everything that is drawn.
        options: see :class:`LexiconOptions`.

    Raises:
        SeedError: no lexicon fits, or the model cannot carry it.
        ConfigError: an option is impossible.
    """
    refuse_too_many_classes(model, dataset.labels)
    lexicon = lexicon_of(dataset, max_length, LexiconOptions.parse(options))
    return make_seed("lexicon", model, dataset.labels, key, options=options, extract=lexicon)


def extract_from_texts(
    config: DataOptions, key: int, options: Mapping[str, Any], progress: Progress | None = None
) -> Seed:
    """Read a data set, and make a lexicon seed of its training texts.

    Args:
        config: names the data, the model and the tokens of a text that count.
        key: of everything that is drawn.
        options: see :class:`LexiconOptions`.
        progress: called with texts done and texts in all while tokenising.

    Raises:
        InputError: the data or the model cannot be used, or no lexicon fits.
    """
    dataset = open_dataset(config, progress)
    return seed_of_texts(dataset, config.model, config.length, key, options)
