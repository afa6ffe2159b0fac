"""From the folder of an ended run to one file of kilobytes that others grow a model from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, OutputError, SeedError
from fedseed.given_recipe import given_recipe
from fedseed.models.architecture import FROM_PRNG
from fedseed.recipe import Recipe
from fedseed.results.folder import RECORD
from fedseed.results.model_card import privacy_words
from fedseed.results.provenance import own_version
from fedseed.results.record import read_record
from fedseed.runs.model_folder import FOLDER, refuse_foreign
from fedseed.runs.reading_off import seed_of_model
from fedseed.seeds.codec import decode, encode, read_seed
from fedseed.seeds.package import Known, Package, PackageCard
from fedseed.seeds.weights import read_weights

_MADE = ("coordinates.fseed", "lexicon.fseed")
"""Seeds that rounds end with, the last stage's first."""
_WORDS_BYTES = 2000
"""Of a seed that is read off a trained model."""


def package_of_run(folder: Path, name: str | None = None, max_bytes: int | None = None) -> Package:
    """Put the seed that a run ended with, a recipe and names of classes together.

    Of a run that ended with weights alone, what the model says of each word is the seed.

    Args:
        folder: of a completed federated run.
        name: what the package is called; the folder's name when None.
        max_bytes: of a seed that is read off a model; 2,000 when None.

    Raises:
        OutputError: the folder holds no such run.
        SeedError: its model does not go into kilobytes, or names cannot be shown.
        ConfigError: ``max_bytes`` of a run whose seed is packed as it is.
    """
    record = read_record(folder / RECORD)
    if record.get("kind") != "federated" or record.get("status") != "completed":
        raise OutputError(f"{folder} is not the folder of a completed federated run")
    classes = record["provenance"]["dataset"]["classes"]
    encoded, notes = _seed(folder, record, len(classes), max_bytes)
    seed = decode(encoded)
    refuse_foreign(seed)
    recipe = _recipe(folder, record, seed.kind)
    card = PackageCard.of(
        name=name or folder.resolve().name[:60], classes=tuple(classes), notes=notes,
        made_of=record["provenance"]["dataset"]["source"][:200],
        protocol=record["config"]["protocol"], clients=record["config"]["clients"],
        rounds=len(record["rounds"]), accuracy=_known(record, notes),
        privacy=privacy_words(record)[:400], fedseed=own_version(),
    )  # fmt: skip
    return Package(encoded, recipe, card)


def _seed(
    folder: Path, record: Mapping[str, Any], classes: int, max_bytes: int | None
) -> tuple[bytes, tuple[str, ...]]:
    """The encoded seed, and what is to be said of it."""
    read_off = record["protocol"]["ends_with"] == "model"
    made = next((folder / name for name in _MADE if (folder / name).is_file()), None)
    as_made = made is not None and (not read_off or made.name == _MADE[0])
    if max_bytes is not None and (as_made or not read_off):
        raise ConfigError("--max-bytes: this run ends with a seed as it is: leave it out")
    if made is not None and as_made:
        return encode(read_seed(made)), ()
    if record["protocol"]["ends_with"] == "recipe":
        return encode(read_seed(folder / "seed.fseed")), (
            "the seed is random: without training on texts the model knows nothing",
        )
    model = record["config"]["model"]
    if model not in FROM_PRNG:
        raise SeedError(
            f"the weights of {model} do not go into kilobytes: hand on the folder "
            f"{folder / FOLDER}, or run --protocol coordinates, which ends with a seed"
        )
    weights = read_weights(folder / FOLDER / "model.safetensors")
    options = {"max_bytes": max_bytes or _WORDS_BYTES}
    return encode(seed_of_model(model, classes, weights, 0, options)), (
        "the seed is what the trained model says of each word alone: less than the model knows",
    )


def _recipe(folder: Path, record: Mapping[str, Any], kind: str) -> Recipe:
    """How to train: the recipe that the rounds found, or else one that suits the seed."""
    if record["protocol"]["ends_with"] == "recipe":
        return Recipe.from_toml(folder / "recipe.toml")
    config = record["config"]
    values = {"model": config["model"], "max_length": config["max_length"]}
    return given_recipe(RunConfig.parse(values | {"start": "random"}), kind == "lexicon")


def _known(record: Mapping[str, Any], notes: tuple[str, ...]) -> Known | None:
    """How the packed seed did on the run's test texts, where that was measured."""
    results = record["results"]
    tested = results.get("aggregated_seed")
    if tested is None and notes:  # read off a model, or random: not what was tested
        return None
    if tested is None:
        roles = results["aggregated"]
        tested = roles.get("newcomers") or roles.get("pooled") or roles.get("participants_mean")
    if tested is None:
        return None
    return Known.model_validate({name: tested[name] for name in Known.model_fields})
