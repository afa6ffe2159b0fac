"""The seed documents' ablation (their phase 1.3), with their test set and with one that holds.

Four kinds of seed, random in two schemes, are fine-tuned with the documents' recipe and with a good
one: as in the documents, which train and test on one class, and on all classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fedseed.data.digests import file_digest
from fedseed.data.federated_dataset import open_dataset
from fedseed.evaluation.metrics import Accuracy
from fedseed.evaluation.repeats import holm, over_repeats, paired
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.recipe import Recipe
from fedseed.results.display import Display
from fedseed.runs.original import Original
from fedseed.seeds.make import make_row
from fedseed.seeds.registry import kind_of_row
from fedseed.studies.ablation import STUDY
from fedseed.studies.ablation.cells import TEST_SETS, label_of, measure, starts_of, tests_of
from fedseed.studies.ablation.options import AblationOptions
from fedseed.studies.base import Study
from fedseed.studies.cells import Cell, Work
from fedseed.studies.description import StudyDescription
from fedseed.studies.measuring import (
    TEST_COST,
    baseline_cell,
    cached_weights,
    counts_of,
    original_of,
)
from fedseed.studies.recipes import CENTRAL, CENTRAL_EPOCHS
from fedseed.studies.seeds import usable_rows

_CENTRAL_REPEATS = 3


class Ablation(Study):
    """The ablation of seeds."""

    about: ClassVar[StudyDescription] = STUDY
    config: AblationOptions

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
        self.rows = usable_rows(config.model, dataset.labels)
        self.original: Original = original_of(config, display)[0]
        weights = cached_weights(original_of(config)[1])
        for row, options in config.seed_options().items():  # says now what cannot be made
            make_row(row, config.model, dataset.labels, 0, weights, options)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        recipes = {name: recipe.model_dump() for name, recipe in self.config.recipes().items()}
        weights = file_digest(original_of(self.config)[1])
        about = {"original_name": self.original.name, "original_weights_sha256": weights}
        return super().provenance() | about | {"recipes": recipes}

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        repeats = range(self.config.repeats)
        starts = [cell for repeat in repeats for cell in self._start_cells(repeat)]
        central = [self._central_cell(repeat) for repeat in repeats[:_CENTRAL_REPEATS]]
        return [baseline_cell(), *starts, *central]

    def _start_cells(self, repeat: int) -> list[Cell]:
        """Every start of one repeat, before and after fine-tuning by each recipe."""
        cells = []
        for test_set in TEST_SETS:
            cost = self._test_cost(test_set)
            for row, extracted_from in starts_of(test_set, self.rows):
                label = label_of(row, extracted_from, test_set)
                arguments = {
                    "what": "start", "row": row, "extracted_from": extracted_from,
                    "repeat": repeat, "test_set": test_set,
                }  # fmt: skip
                cells.append(Cell(f"{label}, before, {repeat}", cost, arguments))
                for name, recipe in self.config.recipes().items():
                    trained = arguments | {"recipe": recipe.model_dump()}
                    place = f"{label}, {name}, {repeat}"
                    cells.append(Cell(place, recipe.steps + cost, trained))
        return cells

    def _central_cell(self, repeat: int) -> Cell:
        recipe = self._central()
        arguments = {
            "what": "central", "repeat": repeat, "recipe": recipe.model_dump(),
            "test_set": "balanced",
        }  # fmt: skip
        cost = recipe.steps + self._test_cost("balanced")
        return Cell(f"central, {repeat}", cost, arguments)

    def _test_cost(self, test_set: str) -> float:
        tests = tests_of(self.config, self.dataset, test_set)
        return TEST_COST * sum(map(len, tests.values()))

    def _central(self) -> Recipe:
        """Two epochs over all training examples: the comparison's upper bound."""
        config = self.config
        steps = -(-CENTRAL_EPOCHS * len(self.dataset.train) // CENTRAL.batch_size)
        steps = min(steps, config.most_steps or steps)
        return CENTRAL.replace(steps=steps, max_length=config.length)

    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        originals = {test_set: self._original_accuracy(test_set) for test_set in TEST_SETS}
        cells = [
            cell
            for test_set in TEST_SETS
            for cell in self._result_cells(test_set, originals[test_set], measured)
        ]
        repeats = range(self.config.repeats)[:_CENTRAL_REPEATS]
        central = [measured[f"central, {repeat}"] for repeat in repeats]
        return {
            "cells": cells,
            "comparisons": _comparisons(cells),
            "originals": {
                name: {"name": self.original.name, **accuracy.to_record()}
                for name, accuracy in originals.items()
            },
            "central": {
                "name": f"{self.config.model}, random start (scaled), {CENTRAL_EPOCHS} epochs over "
                "all training examples",
                "recipe": self._central().model_dump(),
                **over_repeats(counts_of(central, "balanced")),
            },
            "baselines": measured["baselines"]["baselines"],
        }

    def _original_accuracy(self, test_set: str) -> Accuracy:
        rows = tests_of(self.config, self.dataset, test_set)[test_set]
        return self.original.accuracy(self.dataset, rows, one_class=test_set == "one_class")

    def _result_cells(
        self, test_set: str, original: Accuracy, measured: Mapping[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Every start and recipe of a test set, over the repeats."""
        repeats = range(self.config.repeats)
        cells = []
        for row, extracted_from in starts_of(test_set, self.rows):
            label = label_of(row, extracted_from, test_set)
            before = [measured[f"{label}, before, {repeat}"] for repeat in repeats]
            for name in self.config.recipes():
                after = [measured[f"{label}, {name}, {repeat}"] for repeat in repeats]
                cell = _cell(row, name, test_set, before, after, original)
                source = extracted_from if kind_of_row(row).is_extracted else None
                cells.append(cell | {"extracted_from": source})
        return cells


def _cell(
    row: str, recipe_name: str, test_set: str, before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]], original: Accuracy,
) -> dict[str, Any]:  # fmt: skip
    is_artefact = test_set == "one_class"
    trained = over_repeats(counts_of(after, test_set), is_artefact)
    value, chance = trained["value"], trained["majority_baseline"]
    kind = kind_of_row(row)
    cell = {
        "seed_kind": kind.name, "scheme": kind.rows[row].options.get("scheme"),
        "recipe_name": recipe_name, "test_set": test_set, "bytes": after[0]["bytes"],
        "before": over_repeats(counts_of(before, test_set), is_artefact),
        "after": trained,
        "retention_plain": plain(value, original.value),
        "retention_chance_corrected": chance_corrected(value, original.value, chance),
        "seconds": float(np.median([result["seconds_to_model"] for result in after])),
    }  # fmt: skip
    if is_artefact:
        cell["after_balanced"] = over_repeats(counts_of(after, "balanced"))
    return cell


def _comparisons(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every seed against random in both schemes, on the balanced test, by recipe."""
    comparisons = []
    for recipe_name in ("documents", "good"):
        repeats = {
            _row_name(cell): cell["after"]["repeats"]
            for cell in cells
            if cell["test_set"] == "balanced" and cell["recipe_name"] == recipe_name
        }
        of_recipe = [
            _paired_rows(recipe_name, row, against, repeats)
            for against in ("random-bert", "random-scaled")
            for row in repeats
            if row != against and (row, against) != ("random-bert", "random-scaled")
        ]
        adjusted = holm([comparison["p_value"] for comparison in of_recipe])
        for comparison, p_value in zip(of_recipe, adjusted, strict=True):
            comparison["p_value_holm"] = p_value
        comparisons += of_recipe
    return comparisons


def _paired_rows(
    recipe_name: str, row: str, against: str, repeats: Mapping[str, list[float]]
) -> dict[str, Any]:
    test = paired(repeats[row], repeats[against])
    number = test.pop("repeats")
    about = {"recipe_name": recipe_name, "row": row, "against": against}
    return about | test | {"number_of_repeats": number}


def _row_name(cell: Mapping[str, Any]) -> str:
    return "-".join(filter(None, (cell["seed_kind"], cell["scheme"])))
