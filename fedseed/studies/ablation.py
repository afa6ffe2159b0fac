"""The seed documents' ablation (their phase 1.3), with their test set and with one that holds.

Four kinds of seed, random in two schemes, are fine-tuned with the documents' recipe and with a good
one: by the documents' protocol, which trains and tests on one class, and on all classes.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from fedseed.data.site import open_dataset
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.evaluation.repeats import holm, over_repeats, paired
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.growing import grow
from fedseed.models.registry import to_state
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.results.ablation_figure import ablation_figure
from fedseed.results.ablation_table import ablation_table
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.seeds.codec import encode
from fedseed.seeds.pca import PcaOptions
from fedseed.studies.cells import Cell, Work
from fedseed.studies.measuring import (
    FLOOR_COST,
    TEST_COST,
    cached_weights,
    counts_of,
    measure_floors,
    one_class,
    rows_by_test,
    run_test,
)
from fedseed.studies.original import Original, original_weights, start_seed
from fedseed.studies.starts import EXTRACTED, ROWS, make_seed
from fedseed.studies.study import Study, StudyOptions, dataset_of, tested_rows
from fedseed.training import fit
from fedseed.training.compute import choose

DOCUMENTS = Recipe()
"""The seed documents' recipe: Adam, 2e-5, 30 steps of 32."""
GOOD = Recipe(
    optimiser="adamw", learning_rate=1e-3, embedding_multiplier=10.0, schedule="linear",
    warmup=0.1, steps=120,
)  # fmt: skip
"""Chosen on reviews set aside from the training split (docs/decisions/initialisation.md)."""
_EPOCHS = 2
_ONE_CLASS_BALANCED = 1000
"""Test examples of all classes for models that were trained on one."""
_PROTOCOLS = ("one_class", "balanced")
SOURCES = {
    "original": "the fine-tuned original",
    "untrained": "a model that was never trained on the task",
}
"""What a seed is extracted from."""


class AblationOptions(StudyOptions):
    """Options of the ablation."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "most_steps": 3, "original_steps": 20,
    }  # fmt: skip

    recipe: str | None = Field(
        None, description="The good recipe, a TOML file; without it AdamW at 1e-3, word "
        "embeddings x10, linear decay, 120 steps of 32."
    )  # fmt: skip
    k: int = Field(10, ge=1, description="Components of the pca seed.")
    step: float = Field(
        PcaOptions.step, gt=0, description="Step of the pca seed's quantiser, as a share of a "
        "tensor's norm."
    )  # fmt: skip
    most_steps: int | None = Field(None, ge=1, description="Cut every recipe to so many steps.")
    original_steps: int | None = Field(
        None, ge=1, description="Train the original for so many steps, not for one epoch."
    )

    def recipes(self) -> dict[str, Recipe]:
        """The documents' recipe and a good one."""
        good = GOOD if self.recipe is None else Recipe.from_toml(Path(self.recipe))
        found = {"documents": DOCUMENTS, "good": good}
        most = self.most_steps or good.steps
        return {
            name: recipe.replace(steps=min(recipe.steps, most), max_length=self.length)
            for name, recipe in found.items()
        }


def _tests(config: AblationOptions, dataset: Dataset, protocol: str) -> dict[str, Rows]:
    """What models are tested on, by name; those of one class on fewer examples."""
    if protocol == "balanced":
        return {"balanced": tested_rows(config, dataset)}
    return rows_by_test(config, dataset, _ONE_CLASS_BALANCED)


def _starts(protocol: str) -> list[tuple[str, str]]:
    """Rows and what their seeds are extracted from."""
    if protocol == "balanced":
        return [(row, "original") for row in ROWS]
    theirs = [(row, "untrained" if row in EXTRACTED else "original") for row in ROWS]
    return [*theirs, ("pca", "original")]


def _label(row: str, source: str, protocol: str) -> str:
    return f"{row}, {protocol}" + (f", {source}" if source != "original" else "")


def _original(config: AblationOptions, dataset: Dataset, display: Display | None = None) -> Any:
    progress = None if display is None else display.original
    return original_weights(dataset, config.model, config.length, progress, config.original_steps)


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: a start, tested before or after fine-tuning."""
    config = AblationOptions.model_validate_json(config_json)
    dataset = dataset_of(config)
    if arguments["what"] == "floors":
        return measure_floors(config)
    repeat, protocol = arguments["repeat"], arguments["protocol"]
    by_name = _tests(config, dataset, protocol)
    key = random_key(config.run_seed, f"study/{repeat}")
    clock = time.monotonic()
    if arguments["what"] == "central":
        seed = start_seed(config.model, dataset.labels, "bert", key)
    else:
        row, weights = arguments["row"], None
        if row in EXTRACTED and arguments["source"] == "original":
            weights = cached_weights(_original(config, dataset)[1])
        elif row in EXTRACTED:
            other = random_key(config.run_seed, "study/untrained")
            start = encode(start_seed(config.model, dataset.labels, "bert", other))
            weights = to_state(grow(start))
        pca = PcaOptions(config.k, config.step)
        seed = make_seed(row, config.model, dataset.labels, key, weights, pca)
    encoded = encode(seed)
    module, compute = grow(encoded), choose(config.precision)
    result: dict[str, Any] = {"bytes": len(encoded)}
    if "recipe" in arguments:
        recipe = Recipe(**arguments["recipe"])
        rows = one_class(dataset)[0] if protocol == "one_class" else dataset.train
        rng = generator(config.run_seed, "study", repeat)
        result["train_loss"] = _finite(
            fit(module, dataset.table, rows, recipe, rng, compute).train_loss
        )
    result["seconds_to_model"] = round(time.monotonic() - clock, 3)
    return result | run_test(module, config, dataset, by_name)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


class Ablation(Study):
    """Which seeds matter: four kinds, two recipes, on one class and on all.

    The seed documents' ablation, reproduced with its test set of one class, and done again on a
    balanced test, against an original that is fine-tuned, with repeats and paired tests.
    """

    kind: ClassVar[Kind] = "ablation"
    options: ClassVar[type[StudyOptions]] = AblationOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, and the original."""
        config = self.config
        config.recipes()
        dataset = open_dataset(config, display.tokenising)
        self.dataset = dataset
        self.original: Original = _original(config, dataset, display)[0]
        weights = cached_weights(_original(config, dataset)[1])
        pca = PcaOptions(config.k, config.step)
        make_seed("pca", config.model, dataset.labels, 0, weights, pca)  # says what is wrong

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        recipes = {name: recipe.model_dump() for name, recipe in self.config.recipes().items()}
        return super().provenance() | {"original": self.original.name, "recipes": recipes}

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        config, recipes = self.config, self.config.recipes()
        test = {
            protocol: TEST_COST * sum(map(len, _tests(config, self.dataset, protocol).values()))
            for protocol in _PROTOCOLS
        }
        cells = [Cell("floors", FLOOR_COST, {"what": "floors"})]
        for repeat in range(config.repeats):
            for protocol in _PROTOCOLS:
                for row, source in _starts(protocol):
                    label, cost = _label(row, source, protocol), test[protocol]
                    own = {
                        "what": "start", "row": row, "source": source, "repeat": repeat,
                        "protocol": protocol,
                    }  # fmt: skip
                    cells.append(Cell(f"{label}, before, {repeat}", cost, own))
                    for name, recipe in recipes.items():
                        more = own | {"recipe": recipe.model_dump()}
                        place = f"{label}, {name}, {repeat}"
                        cells.append(Cell(place, recipe.steps + cost, more))
        central = self._central()
        for repeat in range(min(3, config.repeats)):
            own = {
                "what": "central", "repeat": repeat, "recipe": central.model_dump(),
                "protocol": "balanced",
            }  # fmt: skip
            cost = central.steps + test["balanced"]
            cells.append(Cell(f"central, {repeat}", cost, own))
        return cells

    def _central(self) -> Recipe:
        """Two epochs over all training examples, from the usual start."""
        config = self.config
        steps = -(-_EPOCHS * len(self.dataset.train) // 32)
        return GOOD.replace(
            steps=min(steps, config.most_steps or steps), embedding_multiplier=1.0,
            max_length=config.length,
        )  # fmt: skip

    def results(self, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        config = self.config
        repeats = range(config.repeats)
        originals = {
            protocol: self.original.accuracy(
                self.dataset, _tests(config, self.dataset, protocol)[protocol],
                one_class=protocol == "one_class",
            )
            for protocol in _PROTOCOLS
        }  # fmt: skip
        cells = []
        for protocol in _PROTOCOLS:
            for row, source in _starts(protocol):
                label = _label(row, source, protocol)
                before = [found[f"{label}, before, {repeat}"] for repeat in repeats]
                for name in config.recipes():
                    after = [found[f"{label}, {name}, {repeat}"] for repeat in repeats]
                    cell = _cell(row, name, protocol, before, after, originals[protocol])
                    cells.append(cell | {"source": source if row in EXTRACTED else None})
        central = [found[f"central, {repeat}"] for repeat in range(min(3, config.repeats))]
        return {
            "cells": cells,
            "comparisons": _comparisons(cells),
            "original": {
                name: {"name": self.original.name, **value.to_record()}
                for name, value in originals.items()
            },
            "central": {
                "name": f"{config.model}, random start (bert), {_EPOCHS} epochs over all training "
                "examples",
                "recipe": self._central().model_dump(),
                **over_repeats(counts_of(central, "balanced")),
            },
            "floors": found["floors"]["floors"],
        }

    def table(self, record: Mapping[str, Any]) -> str:
        """See :class:`Study`."""
        return ablation_table(record)

    def figure(self, record: Mapping[str, Any], path: Path) -> None:
        """See :class:`Study`."""
        ablation_figure(record, path)


def _cell(
    row: str, recipe: str, protocol: str, before: list[dict[str, Any]],
    after: list[dict[str, Any]], original: Any,
) -> dict[str, Any]:  # fmt: skip
    artefact = protocol == "one_class"
    trained = over_repeats(counts_of(after, protocol), artefact)
    value, chance = trained["value"], trained["majority_baseline"]
    kind, _, scheme = row.partition("-")
    cell = {
        "seed_kind": kind, "scheme": scheme or None, "recipe": recipe, "protocol": protocol,
        "bytes": after[0]["bytes"],
        "before": over_repeats(counts_of(before, protocol), artefact),
        "after": trained,
        "retention_plain": plain(value, original.value),
        "retention_chance_corrected": chance_corrected(value, original.value, chance),
        "seconds": float(np.median([result["seconds_to_model"] for result in after])),
    }  # fmt: skip
    if artefact:
        cell["after_balanced"] = over_repeats(counts_of(after, "balanced"))
    return cell


def _comparisons(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every seed against random in both schemes, on the balanced test, by recipe."""
    found = []
    for recipe in ("documents", "good"):
        rows = [c for c in cells if c["protocol"] == "balanced" and c["recipe"] == recipe]
        names = [_name(cell) for cell in rows]
        own = []
        for scheme in ("random-bert", "random-scaled"):
            base = rows[names.index(scheme)]["after"]["repeats"]
            for name, cell in zip(names, rows, strict=True):
                if name != scheme and (name, scheme) != ("random-bert", "random-scaled"):
                    test = paired(cell["after"]["repeats"], base)
                    own.append({"recipe": recipe, "seed": name, "against": scheme, **test})
        for comparison, adjusted in zip(own, holm([c["p_value"] for c in own]), strict=True):
            comparison["p_value_holm"] = adjusted
        found += own
    return found


def _name(cell: Mapping[str, Any]) -> str:
    return "-".join(filter(None, (cell["seed_kind"], cell["scheme"])))
