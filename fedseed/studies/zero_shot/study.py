"""The zero-shot study (the seed documents' phase 2.1): what a seed knows before any training."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from fedseed.data.federated_dataset import open_dataset
from fedseed.data.files import file_digest
from fedseed.errors import SeedError
from fedseed.evaluation.repeats import mean_interval, over_repeats
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.models.architecture import CAUSAL, REGISTRY, State
from fedseed.models.causal import SMALL_GPT2, is_causal
from fedseed.models.registry import find_model
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.seeds.codec import assemble, describe, read_seed
from fedseed.seeds.registry import seed_rows
from fedseed.studies.base import Study, StudyOptions
from fedseed.studies.cells import Cell, Work
from fedseed.studies.measuring import (
    FLOOR_COST,
    TEST_COST,
    cached_weights,
    counts_of,
    original_of,
    rows_by_test,
)
from fedseed.studies.zero_shot.cells import (
    ZeroShotOptions,
    language_name,
    language_of,
    measure,
    seed_of,
    text_of,
)
from fedseed.studies.zero_shot.figure import zero_shot_figure
from fedseed.studies.zero_shot.language_model import (
    TRAINING,
)
from fedseed.studies.zero_shot.table import zero_shot_table


class ZeroShot(Study):
    """What a seed knows before any training: accuracy and perplexity with no step taken.

    Every seed kind, and pca seeds of growing size, extracted from a fine-tuned classifier and from
    a causal language model, against the originals, baselines and floors.
    """

    kind: ClassVar[Kind] = "zero_shot"
    options: ClassVar[type[StudyOptions]] = ZeroShotOptions

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
                own = {} if model == SMALL_GPT2 else {"language_model": model}
                values |= {"part": "language", **own}
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
            original, path = original_of(config, display)
            self.original = original
            self._try_seeds(config.model, self.dataset.labels, cached_weights(path))
        if "language" in self.parts:
            language_name(config, display)
            own = language_of(config)
            self._try_seeds(own.name, CAUSAL, own.weights)

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
            if name != "pca" and (row.for_language_models or not language)
        ]
        rows = ["original", *usual, *self.config.pca_rows(language)]
        if self.config.seed_file:
            seed = read_seed(Path(self.config.seed_file))
            rows += ["file"] if (seed.labels == CAUSAL) == language else []
        return rows

    def _repeats(self, row: str) -> range:
        known = seed_rows().get(row)
        return range(self.config.repeats if known is not None and known.drawn else 1)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        about: dict[str, Any] = {}
        if "classifier" in self.parts:
            weights = file_digest(original_of(self.config)[1])
            own_name = {"original": self.original.name, "original_weights_sha256": weights}
            about |= super().provenance() | own_name
        if "language" in self.parts:
            text, own = text_of(self.config), language_of(self.config)
            about["text"] = {
                "source": text.name, "sha256": text.sha256, "has_training_part": bool(text.train),
            }  # fmt: skip
            about["language_model"] = {
                "name": own.name, "vocabulary": own.vocabulary, "weights_sha256": own.sha256,
                "training": TRAINING.replace(steps=self.config.language_steps).model_dump()
                if self.config.language_model is None else None,
            }  # fmt: skip
        if self.config.seed_file:
            path = Path(self.config.seed_file)
            about["seed"] = describe(read_seed(path)) | {"sha256": file_digest(path)}
        return about

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        cells = []
        if "classifier" in self.parts:
            tests = rows_by_test(self.config, self.dataset)
            cost = TEST_COST * sum(map(len, tests.values()))
            cells.append(Cell("floors", FLOOR_COST, {"what": "floors"}))
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

    def results(self, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        results: dict[str, Any] = {"cells": []}
        if "classifier" in self.parts:
            results["cells"] += self._classifier_cells(found)
            tests = rows_by_test(self.config, self.dataset)
            results["original"] = {
                name: {
                    "name": self.original.name,
                    **self.original.accuracy(self.dataset, rows, name == "one_class").to_record(),
                }
                for name, rows in tests.items()
            }
            results["floors"] = found["floors"]["floors"]
        if "language" in self.parts:
            results["cells"] += self._language_cells(found)
        return results

    def _classifier_cells(self, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        tests = rows_by_test(self.config, self.dataset)
        cells = []
        for row in self._rows(language=False):
            own = [found[f"classifier, {row}, {n}"] for n in self._repeats(row)]
            for protocol, rows in tests.items():
                artefact = protocol == "one_class"
                original = self.original.accuracy(self.dataset, rows, artefact)
                before = over_repeats(counts_of(own, protocol), artefact)
                value, chance = before["value"], before["majority_baseline"]
                cells.append({
                    "part": "classifier", "seed_kind": row, "recipe": None, "protocol": protocol,
                    "bytes": own[0]["bytes"], "error": _mean(own, "error"),
                    "before": before, "after": None,
                    "retention_plain": plain(value, original.value),
                    "retention_chance_corrected": chance_corrected(value, original.value, chance),
                })  # fmt: skip
        return cells

    def _language_cells(self, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        def of(row: str) -> list[dict[str, Any]]:
            return [found[f"language, {row}, {n}"] for n in self._repeats(row)]

        chance, original = (of(row)[0]["loss_nats"] for row in ("uniform", "original"))
        cells = []
        for row in (*self._rows(language=True), "unigram", "uniform"):
            own = of(row)
            losses = [one["loss_nats"] for one in own]
            known = None not in losses
            loss = float(np.mean(losses)) if known else None
            first = own[0]
            cells.append({
                "part": "language", "seed_kind": row, "recipe": None, "protocol": "sliding window",
                "bytes": first.get("bytes"), "error": _mean(own, "error"),
                "loss_nats": loss, "loss_repeats": losses,
                "loss_ci95": mean_interval(losses) if known else None,
                "perplexity": _exp(loss), "infinite": _exp(loss) is None,
                "perplexity_per_word": _exp(loss, first["tokens"] / first["words"]),
                "context": first["context"], "stride": first["stride"],
                "tokens": first["tokens"], "words": first["words"],
                "retention_chance_corrected": (chance - loss) / (chance - original)
                if loss is not None and chance > original else None,
            })  # fmt: skip
        return cells

    def table(self, record: Mapping[str, Any]) -> str:
        """See :class:`Study`."""
        return zero_shot_table(record)

    def figure(self, record: Mapping[str, Any], path: Path) -> None:
        """See :class:`Study`."""
        zero_shot_figure(record, path)


def _exp(loss: float | None, times: float = 1.0) -> float | None:
    try:
        return None if loss is None else math.exp(loss * times)
    except OverflowError:
        return None


def _mean(results: list[dict[str, Any]], name: str) -> float | None:
    values = [result[name] for result in results if result.get(name) is not None]
    return float(np.mean(values)) if values and np.isfinite(values).all() else None
