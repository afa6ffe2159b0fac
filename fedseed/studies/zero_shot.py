"""Zero-shot retention (the seed documents' phase 2.1): what a seed knows before any training."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from fedseed.data.plain_text import PlainText, open_text
from fedseed.data.site import open_dataset
from fedseed.errors import ConfigError, DataError, SeedError
from fedseed.evaluation.perplexity import (
    Perplexity,
    sliding_perplexity,
    uniform_perplexity,
    unigram_perplexity,
)
from fedseed.evaluation.reconstruction import total_error
from fedseed.evaluation.repeats import over_repeats, t_half_width
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.models.architecture import REGISTRY, State
from fedseed.models.causal import CAUSAL, SMALL_GPT2, is_causal
from fedseed.models.registry import build, find_model
from fedseed.options import refuse_no_path
from fedseed.randomness import random_key
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.results.zero_shot_figure import zero_shot_figure
from fedseed.results.zero_shot_table import zero_shot_table
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, describe, encode, read_seed
from fedseed.seeds.pca import PcaOptions
from fedseed.studies.cells import Cell, Work
from fedseed.studies.language_model import (
    TRAINING,
    encode_text,
    logits_of,
    read_language_model,
    trained_folder,
)
from fedseed.studies.measuring import (
    FLOOR_COST,
    TEST_COST,
    cached_weights,
    counts_of,
    measure_floors,
    rows_by_test,
    run_test,
)
from fedseed.studies.original import Original, original_weights
from fedseed.studies.starts import EXTRACTED, budgets, make_seed
from fedseed.studies.study import Study, StudyOptions, dataset_of

_DRAWN = ("random-bert", "random-scaled", "minimal", "stats")
"""Rows that depend on a key, and so are repeated."""
_MOST_TOKENS = 40_000


class ZeroShotOptions(StudyOptions):
    """Options of the zero-shot study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "original_steps": 20, "k": "2,10", "texts": 400,
        "language_steps": 10, "test_tokens": 3000,
    }  # fmt: skip

    part: Literal["both", "classifier", "language"] = Field(
        "both", description="Measure the classifier, the causal language model, or both. --model "
        "NAME alone measures what NAME is."
    )  # fmt: skip
    language_model: str | None = Field(
        None, description="A causal language model, such as gpt2: an id on the hub or a folder; "
        "without it a small GPT-2 that is trained on the text and kept in the cache."
    )  # fmt: skip
    text: str = Field(
        "bundled", description="Text for perplexity: bundled (the reviews), wikitext-2 (from the "
        "hub), hub:NAME, or a UTF-8 file."
    )  # fmt: skip
    texts: int | None = Field(
        None, ge=1, description="Documents of the text to use, about, in each part."
    )
    test_tokens: int = Field(
        _MOST_TOKENS, ge=2, description="Tokens of the text to score; the first so many."
    )
    context: int | None = Field(
        None, ge=2, description="Tokens in a window; without it as many as the model takes."
    )
    stride: int | None = Field(
        None, ge=1, description="Tokens from one window to the next; without it half a context."
    )
    k: str = Field(
        "2,5,10,16,32,64", description="Components of the pca seeds, separated by commas."
    )
    step: float = Field(
        PcaOptions.step, gt=0, description="Step of the pca seed's quantiser, as a share of a "
        "tensor's norm."
    )  # fmt: skip
    budget: str = Field(
        "*word_embeddings*=2,*=16", description="One more pca seed with so many components by "
        "pattern of a tensor's name; empty for none."
    )  # fmt: skip
    seed_file: str | None = Field(None, description="A .fseed file to measure as well.")
    original_steps: int | None = Field(
        None, ge=1, description="Train the original for so many steps, not for one epoch."
    )
    language_steps: int = Field(
        TRAINING.steps, ge=1, description="Steps that the small language model is trained for."
    )

    @field_validator("text", "seed_file", "language_model")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        return refuse_no_path(value)

    @field_validator("k")
    @classmethod
    def _is_a_list(cls, value: str) -> str:
        if not value or not all(word.strip().isdigit() for word in value.split(",")):
            raise ValueError("write whole numbers separated by commas, such as 2,10,32")
        return value

    @property
    def components(self) -> list[int]:
        """Numbers of components to measure."""
        return [int(word) for word in self.k.split(",")]

    def pca_rows(self, language: bool) -> dict[str, PcaOptions]:
        """Pca seeds by the names of their rows."""
        rows = {f"pca({k})": PcaOptions(k, self.step) for k in self.components}
        if self.budget and not language:
            own = budgets(self.budget)
            rows["pca by budget"] = PcaOptions(min(own.values()), self.step, budgets=own)
        return rows


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: floors, a classifier's seed, or a language model's."""
    config = ZeroShotOptions.model_validate_json(config_json)
    if arguments["what"] == "floors":
        return measure_floors(config)
    if arguments["what"] == "language":
        return _language_cell(config, arguments)
    dataset = dataset_of(config)
    weights = cached_weights(_original(config)[1])
    state, size = _assembled(config, arguments, config.model, dataset.labels, weights)
    module = build(find_model(config.model, dataset.labels), state)
    about = {"bytes": size, "error": total_error(state, weights)}
    return about | run_test(module, config, dataset, rows_by_test(config, dataset))


def _original(config: ZeroShotOptions, display: Display | None = None) -> tuple[Original, Path]:
    progress = None if display is None else display.original
    dataset = dataset_of(config)
    return original_weights(dataset, config.model, config.length, progress, config.original_steps)


def _seed(
    config: ZeroShotOptions, arguments: Mapping[str, Any], model: str, labels: int, weights: State
) -> Seed:
    row = arguments["row"]
    if row == "file":
        return read_seed(Path(str(config.seed_file)))
    key = random_key(config.run_seed, f"study/{arguments['repeat']}")
    kind = "pca" if row.startswith("pca") else row
    pca = config.pca_rows(labels == CAUSAL).get(row, PcaOptions())
    return make_seed(kind, model, labels, key, weights if kind in EXTRACTED else None, pca)


def _assembled(
    config: ZeroShotOptions, arguments: Mapping[str, Any], model: str, labels: int, weights: State
) -> tuple[State, int | None]:
    """Weights to measure, and the bytes from which they come; none for the original's own."""
    shapes = find_model(model, labels).shapes()
    if arguments["row"] == "original":
        return {name: weights[name] for name in shapes}, None
    seed = _seed(config, arguments, model, labels, weights)
    return assemble(seed, shapes), len(encode(seed))


def _open_text(config: ZeroShotOptions) -> PlainText:
    return open_text(config.text, config.texts)


def _language_name(config: ZeroShotOptions, display: Display | None = None) -> str:
    """The language model: what was asked for, or the folder of the one trained here."""
    if config.language_model is not None:
        return config.language_model
    recipe = TRAINING.replace(steps=config.language_steps)
    progress = None if display is None else display.language_model
    return str(trained_folder(_open_text(config), recipe, progress))


@functools.lru_cache(maxsize=1)
def _language(config: ZeroShotOptions) -> "_Language":
    name = _language_name(config)
    model, weights, tokenizer = read_language_model(name)
    text = _open_text(config)
    test = encode_text(tokenizer, text.test)[: config.test_tokens]
    train = encode_text(tokenizer, text.train) if text.train else test
    settings = model.config()
    longest = int(getattr(settings, "max_position_embeddings", None) or settings.n_positions)
    context = config.context or longest
    if context > longest:
        raise ConfigError(f"{name} takes at most {longest} tokens: lower --context {context}")
    stride = config.stride or max(1, context // 2)
    if stride > context:
        raise ConfigError(f"--stride {stride} is larger than the context of {context}: lower it")
    if len(test) < context:
        raise DataError(
            f"--text {config.text} has {len(test)} tokens, fewer than the context of {context}: "
            "give a longer text or a smaller --context"
        )
    # A seed names the small model by its registered name, whatever the cache's folder is.
    seed_name = SMALL_GPT2 if config.language_model is None else name
    words = len(tokenizer.decode(test.tolist()).split())
    vocabulary = int(settings.vocab_size)
    return _Language(seed_name, weights, train, test, words, context, stride, vocabulary)


@dataclass(frozen=True)
class _Language:
    """A language model and the text it is measured on."""

    name: str
    weights: State
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    words: int
    context: int
    stride: int
    vocabulary: int


def _language_cell(config: ZeroShotOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    own = _language(config)
    found: Perplexity
    if arguments["row"] == "uniform":
        return uniform_perplexity(own.vocabulary, len(own.test) - 1, own.words).to_record()
    if arguments["row"] == "unigram":
        return unigram_perplexity(own.train, own.test, own.vocabulary, own.words).to_record()
    state, size = _assembled(config, arguments, own.name, CAUSAL, own.weights)
    module = build(find_model(own.name, CAUSAL), state)
    found = sliding_perplexity(logits_of(module), own.test, own.words, own.context, own.stride)
    return {"bytes": size, "error": total_error(state, own.weights), **found.to_record()}


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
            wanted = {"classifier": config.model, "language": config.language_model or SMALL_GPT2}
            if seed.model not in [wanted[part] for part in self.parts]:
                raise SeedError(
                    f"--seed-file is for {seed.model}, not {' or '.join(wanted.values())}: give "
                    "--model, or another seed"
                )
        if "classifier" in self.parts:
            self.dataset = open_dataset(config, display.tokenising)
            original, path = _original(config, display)
            self.original = original
            self._try_seeds(config.model, self.dataset.labels, cached_weights(path))
        if "language" in self.parts:
            _language_name(config, display)
            own = _language(config)
            self._try_seeds(own.name, CAUSAL, own.weights)

    def _try_seeds(self, model: str, labels: int, weights: State) -> None:
        """Say now what cannot be made, not after minutes of measuring."""
        for row in self._rows(labels == CAUSAL):
            if row.startswith("pca") or row == "file":
                seed = _seed(self.config, {"row": row, "repeat": 0}, model, labels, weights)
                if row == "file":
                    assemble(seed, find_model(model, labels).shapes())

    def _rows(self, language: bool) -> list[str]:
        drawn = [row for row in _DRAWN if not (language and row == "random-scaled")]
        rows = ["original", *drawn, *self.config.pca_rows(language)]
        if self.config.seed_file:
            seed = read_seed(Path(self.config.seed_file))
            rows += ["file"] if (seed.labels == CAUSAL) == language else []
        return rows

    def _repeats(self, row: str) -> range:
        return range(self.config.repeats if row in _DRAWN else 1)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        about: dict[str, Any] = {}
        if "classifier" in self.parts:
            about |= super().provenance() | {"original": self.original.name}
        if "language" in self.parts:
            text, own = _open_text(self.config), _language(self.config)
            about["text"] = {"source": text.name, "sha256": text.sha256}
            about["language_model"] = {
                "name": own.name, "vocabulary": own.vocabulary,
                "training": TRAINING.replace(steps=self.config.language_steps).model_dump()
                if self.config.language_model is None else None,
            }  # fmt: skip
        if self.config.seed_file:
            about["seed"] = describe(read_seed(Path(self.config.seed_file)))
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
            half = t_half_width(losses) if known else 0.0
            first = own[0]
            cells.append({
                "part": "language", "seed_kind": row, "recipe": None, "protocol": "sliding window",
                "bytes": first.get("bytes"), "error": _mean(own, "error"),
                "loss_nats": loss, "loss_repeats": losses,
                "loss_ci95": [loss - half, loss + half] if loss is not None and known else None,
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
