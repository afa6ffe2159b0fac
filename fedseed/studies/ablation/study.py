"""The seed documents' ablation (their phase 1.3), with their test set and with one that holds.

Four kinds of seed, random in two schemes, are fine-tuned with the documents' recipe and with a good
one: by the documents' protocol, which trains and tests on one class, and on all classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fedseed.data.federated_dataset import open_dataset
from fedseed.data.files import file_digest
from fedseed.evaluation.repeats import holm, over_repeats, paired
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.recipe import Recipe
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.runs.original import Original
from fedseed.seeds.make import make_row
from fedseed.seeds.registry import kind_of_row
from fedseed.studies.ablation.cells import (
    PROTOCOLS,
    AblationOptions,
    label_of,
    measure,
    starts_of,
    tests_of,
)
from fedseed.studies.ablation.figure import ablation_figure
from fedseed.studies.ablation.table import ablation_table
from fedseed.studies.base import Study, StudyOptions
from fedseed.studies.cells import Cell, Work
from fedseed.studies.comparison.rows import CENTRAL
from fedseed.studies.measuring import (
    FLOOR_COST,
    TEST_COST,
    cached_weights,
    counts_of,
    original_of,
)

_EPOCHS = 2


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
        self.original: Original = original_of(config, display)[0]
        weights = cached_weights(original_of(config)[1])
        for row, options in config.seed_options().items():  # says now what cannot be made
            make_row(row, config.model, dataset.labels, 0, weights, options)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        recipes = {name: recipe.model_dump() for name, recipe in self.config.recipes().items()}
        weights = file_digest(original_of(self.config)[1])
        about = {"original": self.original.name, "original_weights_sha256": weights}
        return super().provenance() | about | {"recipes": recipes}

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        config, recipes = self.config, self.config.recipes()
        test = {
            protocol: TEST_COST * sum(map(len, tests_of(config, self.dataset, protocol).values()))
            for protocol in PROTOCOLS
        }
        cells = [Cell("floors", FLOOR_COST, {"what": "floors"})]
        for repeat in range(config.repeats):
            for protocol in PROTOCOLS:
                for row, source in starts_of(protocol):
                    label, cost = label_of(row, source, protocol), test[protocol]
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
        """Two epochs over all training examples: the comparison's upper bound."""
        config = self.config
        steps = -(-_EPOCHS * len(self.dataset.train) // CENTRAL.batch_size)
        steps = min(steps, config.most_steps or steps)
        return CENTRAL.replace(steps=steps, max_length=config.length)

    def results(self, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        config = self.config
        repeats = range(config.repeats)
        originals = {
            protocol: self.original.accuracy(
                self.dataset, tests_of(config, self.dataset, protocol)[protocol],
                one_class=protocol == "one_class",
            )
            for protocol in PROTOCOLS
        }  # fmt: skip
        cells = []
        for protocol in PROTOCOLS:
            for row, source in starts_of(protocol):
                label = label_of(row, source, protocol)
                before = [found[f"{label}, before, {repeat}"] for repeat in repeats]
                for name in config.recipes():
                    after = [found[f"{label}, {name}, {repeat}"] for repeat in repeats]
                    cell = _cell(row, name, protocol, before, after, originals[protocol])
                    extracted = kind_of_row(row).is_extracted
                    cells.append(cell | {"source": source if extracted else None})
        central = [found[f"central, {repeat}"] for repeat in range(min(3, config.repeats))]
        return {
            "cells": cells,
            "comparisons": _comparisons(cells),
            "original": {
                name: {"name": self.original.name, **value.to_record()}
                for name, value in originals.items()
            },
            "central": {
                "name": f"{config.model}, random start (scaled), {_EPOCHS} epochs over all "
                "training examples",
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
    kind = kind_of_row(row)
    cell = {
        "seed_kind": kind.name, "scheme": kind.rows[row].options.get("scheme"),
        "recipe": recipe, "protocol": protocol,
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
