"""From a package and somebody's own table to a model that is tested on texts of that table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fedseed.data.label_words import folded
from fedseed.data.sites.site import Site
from fedseed.data.sites.table import open_site, under_classes
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import DataError, SeedError, one_line
from fedseed.evaluation.alone import tested_alone
from fedseed.evaluation.metrics import Accuracy, ClassCounts, accuracy, count_correct
from fedseed.files import write_text
from fedseed.models.architecture import REGISTRY
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import find_model, to_state
from fedseed.models.saving import save_classifier
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.results.display import Display
from fedseed.results.folder import RECORD
from fedseed.results.grown import grown_card
from fedseed.results.provenance import code, describe_seed, machine, packages
from fedseed.results.record import RunRecord, to_json
from fedseed.runs.model_folder import FOLDER, refuse_foreign
from fedseed.runs.original import describe_dataset
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import decode
from fedseed.seeds.package import Package
from fedseed.training import Compute, choose, fit, predict
from fedseed.training.lanes import LANES

_VALIDATION = 0.2
"""Share of the training texts by which it is decided whether training helped."""
_MOST_TOKENS, _MOST_AT_ONCE = 100_000_000, 1_000_000
"""Tokens of all steps, and of one, that a package may ask for."""
_FEWEST = 10
"""Training texts below which nothing is trained."""


@dataclass(frozen=True)
class _Parts:
    """The rows of a table, by what they are for."""

    train: Rows
    validation: Rows
    test: Rows


def grow_package(package: Package, site: Site, out: Path, display: Display) -> dict[str, Any]:
    """Make a model of a package and a table, test it, and write it.

    The model is trained on four fifths of the training texts and kept as it was assembled where
    it is no better on the last fifth. The test texts, which decide nothing, are the site's.

    Args:
        package: what to begin from.
        site: the table; its labels are matched to the package's classes.
        out: folder for ``model`` and ``record.json``.
        display: shows what happens.

    Returns:
        The record, of kind ``grow``.

    Raises:
        InputError: package or table cannot be used, or do not fit together.
        OutputError: a file cannot be written.
    """
    seed, length = decode(package.seed), package.recipe.max_length
    refuse_foreign(seed)
    _refuse_long(package.recipe)
    dataset = _opened(package, seed, site, display)
    parts = _split(dataset)
    torch.set_num_threads(1)  # the lanes of a batch are what runs side by side
    compute = replace(choose("auto"), lanes=LANES)

    def right(model: nn.Module, rows: Rows) -> ClassCounts:
        likelihoods = predict(model, dataset.table, rows, length, compute)
        return count_correct(likelihoods, dataset.table.labels[rows])

    display.phase(f"testing the model as it comes on {len(parts.test):,} of your texts")
    models = {"assembled": grow(package.seed)}
    if len(parts.train) >= _FEWEST and package.recipe.steps:
        models["trained"] = _trained(package, dataset, parts, compute, display)
    decisive = {name: right(one, parts.validation).accuracy for name, one in models.items()}
    chosen = max(models, key=lambda name: decisive[name])  # the first of equals
    tested = {name: accuracy([right(one, parts.test)]) for name, one in models.items()}
    record = RunRecord(
        kind="grow", config={"package": package.card.name, "recipe": package.recipe.model_dump()},
        provenance=_provenance(package, seed, dataset, compute),
        results=_results(dataset, parts, tested, chosen, seed, length), status="completed",
    ).to_dict()  # fmt: skip
    model = find_model(seed.model, seed.labels)
    state, classes = to_state(models[chosen]), package.card.classes
    save_classifier(out / FOLDER, model, state, classes, length, grown_card(record))
    write_text(out / RECORD, to_json(record))
    return record


def _refuse_long(recipe: Recipe) -> None:
    """Refuse a recipe by which a package would keep this machine at work for hours."""
    tokens = recipe.steps * recipe.batch_size * recipe.max_length
    if tokens > _MOST_TOKENS or recipe.batch_size * recipe.max_length > _MOST_AT_ONCE:
        raise SeedError(
            f"the package asks for {recipe.steps:,} steps of {recipe.batch_size:,} texts of "
            f"{recipe.max_length:,} tokens, more than a package may: ask its maker for another"
        )


def _trained(
    package: Package, dataset: Dataset, parts: _Parts, compute: Compute, display: Display
) -> nn.Module:
    """The model once it is trained on some of the table."""
    model, steps = grow(package.seed), package.recipe.steps
    display.phase(f"training it on {len(parts.train):,} of your texts, {steps} steps")

    def show(step: int, loss: float) -> None:
        if step == steps or step % max(1, steps // 10) == 0:
            display.progress("training", step, steps, f"step {step} of {steps}, loss {loss:.3f}")

    rng = generator(0, "grow")
    fit(model, dataset.table, parts.train, package.recipe, rng, compute, show)
    return model


def _provenance(package: Package, seed: Seed, dataset: Dataset, compute: Compute) -> dict[str, Any]:
    return {
        **code(), "packages": packages(), "dataset": describe_dataset(dataset),
        "machine": machine("local", 1, compute.device, compute.precision),
        "seed": describe_seed(seed), "package": package.card.model_dump(mode="json"),
    }  # fmt: skip


def _results(
    dataset: Dataset, parts: _Parts, tested: Mapping[str, Accuracy], chosen: str, seed: Seed,
    max_length: int,
) -> dict[str, Any]:  # fmt: skip
    """What came out, beside a bag of words that knows the table's own texts alone."""
    results: dict[str, Any] = {name: one.to_record() for name, one in tested.items()}
    results |= {
        "chosen": chosen, "train_examples": len(parts.train),
        "validation_examples": len(parts.validation),
    }  # fmt: skip
    present = np.unique(dataset.table.labels[dataset.train])
    if seed.model in REGISTRY and len(present) > 1:
        alone = tested_alone(dataset.table, dataset.train, parts.test, dataset.labels, max_length)
        results["alone"] = accuracy([alone]).to_record()
    return results


def _opened(package: Package, seed: Seed, site: Site, display: Display) -> Dataset:
    """The table under the package's classes.

    Raises:
        DataError: its labels are others, or it has too few texts.
    """
    if len(package.card.classes) != seed.labels:
        raise DataError("the package's seed and its names of classes do not fit: fetch it again")
    tokenizer = tokenizer_file(seed.model)
    own = open_site(site, tokenizer, package.recipe.max_length, display.tokenising)
    for note in own.notes:
        display.phase(f"data: {note}")
    labels = dict(site.labels) or _by_number(own.classes, package.card.classes)
    site = site.model_copy(update={"labels": labels})
    _refuse_other_labels(own.classes, labels, package.card.classes)
    dataset = under_classes(site, own, package.card.classes)
    if len(np.unique(dataset.table.labels[dataset.test])) < 2:
        raise DataError(
            "too few texts to test on, or all of one class: give a table with some five labelled "
            "texts of each class, or more"
        )
    return replace(dataset, notes=own.notes)


def _by_number(own: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, str]:
    """Labels that are the numbers 0, 1, 2, ... stand for the classes in their order."""
    numbers = [str(number) for number in range(len(classes))]
    return dict(zip(numbers, classes, strict=True)) if list(own) == numbers else {}


def _refuse_other_labels(
    own: tuple[str, ...], labels: Mapping[str, str], classes: tuple[str, ...]
) -> None:
    known = {folded(name) for name in classes}
    other = [name for name in own if folded(labels.get(name, name)) not in known]
    if other:
        listed = ", ".join(one_line(name, 40) for name in other[:5])
        missing = [f"{one_line(name, 40)}=CLASS" for name in other[:5]]
        given = ",".join([*(f"{own}={name}" for own, name in labels.items()), *missing])
        raise DataError(
            f"the table's label(s) {listed} are none of the package's classes "
            f"({', '.join(classes[:8])}): say what they are called there, --labels '{given}'"
        )


def _split(dataset: Dataset) -> _Parts:
    """Four fifths of the training texts to learn from, a fifth to decide by."""
    mixed = generator(0, "grow-validation").permutation(dataset.train)
    count = max(1, round(_VALIDATION * len(mixed)))
    return _Parts(np.sort(mixed[count:]), np.sort(mixed[:count]), dataset.test)
