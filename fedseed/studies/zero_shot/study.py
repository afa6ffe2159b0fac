"""The zero-shot study (the seed documents' phase 2.1): what a seed knows before any training."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from fedseed.data.digests import file_digest
from fedseed.data.federated_dataset import open_dataset
from fedseed.data.options import task_name
from fedseed.errors import SeedError
from fedseed.evaluation.linear_curve import at_most
from fedseed.evaluation.repeats import over_repeats
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.models.architecture import CAUSAL, REGISTRY, State
from fedseed.models.causal import SMALL_GPT2, is_causal
from fedseed.models.registry import find_model
from fedseed.results.display import Display
from fedseed.results.provenance import describe_seed
from fedseed.runs.original import Original
from fedseed.seeds.codec import assemble, read_seed
from fedseed.seeds.kinds.pca import PcaOptions
from fedseed.seeds.kinds.pca.format import refuse_options
from fedseed.seeds.kinds.unigram.format import fits
from fedseed.seeds.registry import kind_of_row, seed_rows
from fedseed.studies.base import Study
from fedseed.studies.cells import Cell, Work
from fedseed.studies.description import StudyDescription
from fedseed.studies.measuring import (
    LINEAR,
    TEST_COST,
    baseline_cell,
    cached_weights,
    counts_of,
    linear_cell,
    original_of,
    rows_by_test,
)
from fedseed.studies.zero_shot import STUDY
from fedseed.studies.zero_shot.cells import measure, seed_of
from fedseed.studies.zero_shot.language import language_name, language_of, text_of
from fedseed.studies.zero_shot.options import TRAINING, ZeroShotOptions
from fedseed.studies.zero_shot.results import language_cell, linear_accuracy, mean_of


class ZeroShot(Study):
    """What a seed knows before any training."""

    about: ClassVar[StudyDescription] = STUDY
    config: ZeroShotOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Self:
        """See :class:`Study`: ``--model`` may name a causal language model."""
        values = {name.replace("-", "_"): value for name, value in given.items()}
        model = values.get("model")
        if model is not None and "part" not in values:
            if model not in REGISTRY and is_causal(model):
                values.pop("model")
                if model != SMALL_GPT2:
                    values["language_model"] = model
                values["part"] = "language"
            else:
                values["part"] = "classifier"
        elif "part" not in values and {"text", "language_model"} & values.keys():
            values["part"] = "language"
        return super().from_options(values)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that are measured."""
        part = self.config.part
        return ("classifier", "language") if part == "both" else (part,)

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, the original, the language model."""
        config = self.config
        if config.seed_file:
            seed = read_seed(Path(config.seed_file))
            models = {"classifier": config.model, "language": config.language_model or SMALL_GPT2}
            wanted = [models[part] for part in self.parts]
            if seed.model not in wanted:
                raise SeedError(
                    f"--seed-file is for {seed.model}, not {' or '.join(wanted)}: give --model, "
                    "or another seed"
                )
        if "classifier" in self.parts:
            self.dataset = open_dataset(config, display.tokenising)
            self._refuse_rows(config.model, self.dataset.labels)
            original, path = original_of(config, display)
            self.original: Original = original
            self._try_seeds(config.model, self.dataset.labels, cached_weights(path))
        if "language" in self.parts:
            self._refuse_rows(config.language_model or SMALL_GPT2, CAUSAL)
            language_name(config, display)
            language = language_of(config)
            self._try_seeds(language.name, CAUSAL, language.weights)

    def _refuse_rows(self, model: str, labels: int) -> None:
        """Say what no weights of the model will allow, before any are trained."""
        shapes = find_model(model, labels).shapes()
        for options in self.config.pca_rows(labels == CAUSAL).values():
            refuse_options(PcaOptions.parse(options), shapes)

    def _try_seeds(self, model: str, labels: int, weights: State) -> None:
        """Say now what cannot be made, not after minutes of measuring."""
        for row in self._rows(labels == CAUSAL):
            if row in self.config.pca_rows(labels == CAUSAL) or row == "file":
                seed = seed_of(self.config, {"row": row, "repeat": 0}, model, labels, weights)
                if row == "file":
                    assemble(seed, find_model(model, labels).shapes())

    def _rows(self, language: bool) -> list[str]:
        usual = [
            name
            for name, row in seed_rows().items()
            if name not in ("pca", "lexicon") and (row.for_language_models or not language)
        ]
        rows = ["original", *usual, *self.config.pca_rows(language)]
        if not language:
            rows += self.config.lexicon_rows(self.dataset.labels)
        elif self._has_unigrams():
            rows += self.config.unigram_rows()
        if self.config.seed_file:
            seed = read_seed(Path(self.config.seed_file))
            rows += ["file"] if (seed.labels == CAUSAL) == language else []
        return rows

    def _is_gpt2(self) -> bool:
        """Whether unigram seeds assemble the language model."""
        name = self.config.language_model or SMALL_GPT2
        return fits(find_model(name, CAUSAL).shapes())

    def _has_unigrams(self) -> bool:
        """Whether there is text to count tokens in that is not tested on, and a model for them."""
        return bool(text_of(self.config).train) and self._is_gpt2()

    def _kind_of(self, row: str) -> str | None:
        """The kind of a row's seed; None of the original's own weights."""
        if row == "original":
            return None
        if row == "file":
            return read_seed(Path(str(self.config.seed_file))).kind
        if row in self.config.lexicon_rows(self.dataset.labels):
            return "lexicon"
        return kind_of_row("pca" if row in self.config.pca_rows(language=False) else row).name

    def _repeats(self, row: str) -> range:
        known = seed_rows().get(row)
        return range(self.config.repeats if known is not None and known.drawn else 1)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        about: dict[str, Any] = {}
        if "classifier" in self.parts:
            weights = file_digest(original_of(self.config)[1])
            original = {
                "original_name": self.original.name, "original_weights_sha256": weights,
            }  # fmt: skip
            about |= super().provenance() | original
        if "language" in self.parts:
            about |= self._language_provenance()
        if self.config.seed_file:
            path = Path(self.config.seed_file)
            about["seed"] = describe_seed(read_seed(path)) | {"sha256": file_digest(path)}
        return about

    def _language_provenance(self) -> dict[str, Any]:
        text, language = text_of(self.config), language_of(self.config)
        training = TRAINING.replace(steps=self.config.language_steps).model_dump()
        return {
            "text": {
                "source": text.name, "sha256": text.sha256, "has_training_part": bool(text.train),
            },
            "language_model": {
                "name": language.name, "vocabulary": language.vocabulary,
                "weights_sha256": language.sha256,
                "training": training if self.config.language_model is None else None,
            },
        }  # fmt: skip

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        cells: list[Cell] = []
        if "classifier" in self.parts:
            tests = rows_by_test(self.config, self.dataset)
            cost = TEST_COST * sum(map(len, tests.values()))
            cells += [baseline_cell(), linear_cell()]
            cells += self._cells("classifier", self._rows(language=False), cost)
        if "language" in self.parts:
            rows = [*self._rows(language=True), "unigram", "uniform"]
            cells += self._cells("language", rows, 2e-3 * self.config.test_tokens)
        return cells

    def _cells(self, part: str, rows: list[str], cost: float) -> list[Cell]:
        return [
            Cell(f"{part}, {row}, {n}", cost, {"what": part, "row": row, "repeat": n})
            for row in rows
            for n in self._repeats(row)
        ]

    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        results: dict[str, Any] = {"cells": []}
        if "classifier" in self.parts:
            tests = rows_by_test(self.config, self.dataset)
            results["originals"] = {
                name: {
                    "name": self.original.name,
                    **self.original.accuracy(self.dataset, rows, name == "one_class").to_record(),
                }
                for name, rows in tests.items()
            }
            results["cells"] += self._classifier_cells(measured, results["originals"])
            results["baselines"] = measured["baselines"]["baselines"]
            results[LINEAR] = measured[LINEAR][LINEAR]
            for cell in results["cells"]:
                equal = at_most(results[LINEAR], cell["bytes"] or math.inf)
                cell["linear_of_equal_bytes"] = equal if cell["test_set"] == "balanced" else None
        if "language" in self.parts:
            results["cells"] += self._language_cells(measured)
        return results

    def _classifier_cells(
        self, measured: Mapping[str, dict[str, Any]], originals: Mapping[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        cells = []
        for row in self._rows(language=False):
            repeats = [measured[f"classifier, {row}, {n}"] for n in self._repeats(row)]
            for test_set, original in originals.items():
                counts = counts_of(repeats, test_set)
                accuracy = over_repeats(counts, one_class=test_set == "one_class")
                value, chance = accuracy["value"], accuracy["majority_baseline"]
                cells.append({
                    "part": "classifier", "row": row, "seed_kind": self._kind_of(row),
                    "model": self.config.model, "task": task_name(self.config.data),
                    "max_length": self.config.length, "test_set": test_set,
                    "bytes": repeats[0]["bytes"],
                    "reconstruction_error": mean_of(repeats, "reconstruction_error"),
                    "accuracy": accuracy, "linear_accuracy": linear_accuracy(repeats[0], test_set),
                    "retention_plain": plain(value, original["value"]),
                    "retention_chance_corrected": chance_corrected(
                        value, original["value"], chance
                    ),
                })  # fmt: skip
        return cells

    def _language_cells(self, measured: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        rows = (*self._rows(language=True), "unigram", "uniform")
        by_row = {
            row: [measured[f"language, {row}, {n}"] for n in self._repeats(row)] for row in rows
        }
        chance, original = (by_row[row][0]["loss_nats"] for row in ("uniform", "original"))
        return [language_cell(row, by_row[row], chance, original) for row in rows]
