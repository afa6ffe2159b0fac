"""The folder ``model`` of a run: the model that it ended with, as transformers loads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fedseed.errors import ConfigError, OutputError, SeedError, one_line
from fedseed.models.architecture import REGISTRY
from fedseed.models.registry import find_model, max_tokens, to_state
from fedseed.models.saving import save_classifier
from fedseed.results.model_card import model_card, plain_card
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import encode, read_seed
from fedseed.seeds.package import is_package, read_package
from fedseed.seeds.registry import find_kind

FOLDER = "model"
_LONGEST = 512
"""Tokens that a model reads of a text where nobody said."""


def save_of_run(
    out: Path, module: nn.Module, seed: Seed, max_length: int, record: Mapping[str, Any]
) -> None:
    """Write the model that a run ended with into its folder.

    Args:
        out: the run's folder.
        module: the model.
        seed: names its architecture.
        max_length: tokens of a text that the run kept.
        record: of the run, whose results are there.

    Raises:
        OutputError: a file cannot be written.
    """
    classes = record["provenance"]["dataset"]["classes"]
    model = find_model(seed.model, seed.labels)
    save_classifier(out / FOLDER, model, to_state(module), classes, max_length, model_card(record))


def assemble_to(path: Path, classes: str | None, out: Path) -> str:
    """Assemble the model of a seed or package and write it, without any training.

    Args:
        path: a ``.fseed`` file or a package.
        classes: names of the classes, joined by commas; a package's own when None.
        out: a folder that is new or empty.

    Returns:
        A line about what was written.

    Raises:
        SeedError: the file is no seed.
        ConfigError: names of classes are missing or too many.
        OutputError: the folder is not empty, or cannot be written.
    """
    seed = read_seed(path)
    names, length = classes_and_length(path, seed, classes)
    refuse_filled(out)
    module, model = grow(encode(seed)), find_model(seed.model, seed.labels)
    card = plain_card(f"{seed.model} of a {seed.kind} seed", "Assembled from a seed, not trained.")
    save_classifier(out, model, to_state(module), names, length, card)
    return f"{seed.model} of {len(encode(seed)):,} bytes, classes {', '.join(names)}: {out}"


def refuse_filled(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        OutputError: it does, or is a file.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OutputError(f"{out} is there already: choose another --out")


def classes_and_length(path: Path, seed: Seed, classes: str | None) -> tuple[list[str], int]:
    """Names of a seed's classes, and tokens of a text that its model is to read.

    Args:
        path: of the seed or package.
        seed: what it holds.
        classes: names joined by commas; a package's own, or numbers, when None.

    Raises:
        ConfigError: it is of a language model, or the names are not as many as its classes.
    """
    if not seed.labels:
        raise ConfigError(f"{path} is a seed of a language model: give one of a classifier")
    names, length = [str(n) for n in range(seed.labels)], min(_LONGEST, max_tokens(seed.model))
    if is_package(path):
        package = read_package(path)
        refuse_foreign(seed)
        names, length = list(package.card.classes), package.recipe.max_length
    if classes is not None:
        names = [name.strip() for name in classes.split(",")]
    if not all(name.isprintable() for name in names):
        raise ConfigError("names of classes are printable letters: write others")
    if len(names) != seed.labels or len(set(names)) < seed.labels or not all(names):
        raise ConfigError(f"the seed has {seed.labels} classes: give as many different names")
    return names, length


def refuse_foreign(seed: Seed) -> None:
    """Refuse a packed seed of a model that does not install with fedseed.

    Its name would be a folder of whoever made the package, or something to be fetched.

    Raises:
        SeedError: it is one.
    """
    if seed.model not in REGISTRY:
        raise SeedError(
            f"a package is of a model that installs with fedseed ({', '.join(REGISTRY)}), not of "
            f"{one_line(seed.model, 40)}: hand on the run's folder {FOLDER} instead"
        )


def notes_of(path: Path, seed: Seed) -> tuple[str, ...]:
    """What is to be said of a seed's model before anybody relies on it."""
    if is_package(path):
        return read_package(path).card.notes
    if find_kind(seed.kind).made_from == "key":
        return ("the seed is random: without training on texts the model knows nothing",)
    return ()
