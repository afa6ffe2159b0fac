"""Originals: the reference models whose accuracy 100 % retention means."""

import base64
import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedseed.data.cache import cache_folder
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import OutputError
from fedseed.evaluation.metrics import Accuracy, ClassCounts, accuracy
from fedseed.files import write_bytes, write_text
from fedseed.models.architecture import FROM_PRNG, REGISTRY
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import to_state
from fedseed.randomness import generator, random_key
from fedseed.recipe import Recipe
from fedseed.results.provenance import code, machine, packages, repository
from fedseed.results.record import RunRecord, read_record
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pretrained import pretrained_seed
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, fit, predict
from fedseed.training.lanes import LANES
from fedseed.training.precision_and_device import Precision

_BATCH = 32
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Original:
    """A model trained on all shards together, and which test examples it gets right."""

    name: str
    """Which weights, trained on what."""
    correct: NDArray[np.bool_]
    """For every row that it was tested on, in order."""
    rows: Rows
    """These test rows, ascending."""

    def accuracy(self, dataset: Dataset, rows: Rows, one_class: bool = False) -> Accuracy:
        """Its accuracy on some of the test rows, which may be of one class if so said."""
        right = self.correct[np.searchsorted(self.rows, rows)]
        labels = dataset.table.labels[rows]
        return accuracy(
            [
                ClassCounts(
                    tuple(np.bincount(labels[right], minlength=dataset.labels).tolist()),
                    tuple(np.bincount(labels, minlength=dataset.labels).tolist()),
                )
            ],
            one_class,
        )


def original_recipe(model: str, examples: int, max_length: int, steps: int | None = None) -> Recipe:
    """One pass over all training examples, or some steps, at a rate that suits the start."""
    fresh = model in FROM_PRNG
    return Recipe(
        optimiser="adamw",
        learning_rate=1e-3 if fresh else 5e-5,
        embedding_multiplier=10.0 if fresh else 1.0,
        schedule="linear",
        warmup=0.1,
        steps=math.ceil(examples / _BATCH) if steps is None else steps,
        batch_size=_BATCH,
        max_length=max_length,
    )


def start_seed(model: str, classes: Sequence[str], scheme: str, key: int) -> Seed:
    """The seed a model starts from: drawn from a key, or published weights.

    Args:
        model: its name.
        classes: names of the data's classes, to which those of a published head are matched.
        scheme: of a random seed.
        key: of all that is drawn.
    """
    if model in FROM_PRNG:
        return random_seed(model, len(classes), key, scheme)
    return pretrained_seed(model, len(classes), key, classes)


def find_original(
    dataset: Dataset, model: str, max_length: int, progress: Progress | None = None,
    steps: int | None = None, precision: Precision = "fp32",
) -> Original:  # fmt: skip
    """Take the original from an official record or the cache, else train it.

    Args:
        dataset: all shards together, and the test rows that it is tested on.
        model: the architecture's name.
        max_length: tokens kept of each text.
        progress: called with steps done and steps in all while training.
        steps: of training; one pass over the training examples when None.
        precision: of a published body's training; a model from a random start is trained in fp32.
    """
    precision = _precision(model, precision)
    recipe = original_recipe(model, len(dataset.train), max_length, steps)
    key = _key(dataset, model, recipe, precision)
    official = sorted((repository() / "results" / "official").glob("original*/record.json"))
    for path in (*official, _cached(key)):
        original = _read(path, key, dataset.test)
        if original is not None:
            return original
    record, module = train_original(dataset, model, max_length, progress, steps, precision)
    with contextlib.suppress(OSError, OutputError):  # a full disk costs the next run a minute
        _keep(key, record, module)
    return _from_results(record.results, dataset.test)


def original_weights(
    dataset: Dataset, model: str, max_length: int, progress: Progress | None = None,
    steps: int | None = None, precision: Precision = "fp32",
) -> tuple[Original, Path]:  # fmt: skip
    """The original and a safetensors file of its weights, which stays in the cache.

    Args:
        dataset: all shards together, and the test split.
        model: the architecture's name.
        max_length: tokens kept of each text.
        progress: called with steps done and steps in all while training.
        steps: of training; one pass over the training examples when None.
        precision: see :func:`find_original`.

    Raises:
        OutputError: the cache cannot be written.
    """
    precision = _precision(model, precision)
    recipe = original_recipe(model, len(dataset.train), max_length, steps)
    key = _key(dataset, model, recipe, precision)
    path = _cached(key)
    original = _read(path, key, dataset.test)
    if original is None or not path.with_suffix(".safetensors").is_file():
        record, module = train_original(dataset, model, max_length, progress, steps, precision)
        _keep(key, record, module)
        original = _from_results(record.results, dataset.test)
    return original, path.with_suffix(".safetensors")


def _cached(key: str) -> Path:
    return cache_folder() / "originals" / f"{key}.json"


def _keep(key: str, record: RunRecord, module: nn.Module) -> None:
    from safetensors.numpy import save

    path = _cached(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path.parent}: {error.strerror}") from error
    write_bytes(path.with_suffix(".safetensors"), save(to_state(module)))
    write_text(path, record.to_json())


def _seed(dataset: Dataset, model: str) -> bytes:
    return encode(start_seed(model, dataset.classes, "scaled", random_key(0, "original")))


def _precision(model: str, precision: Precision) -> Precision:
    """What an original is trained in: a small one in fp32, which is the same on every machine."""
    return "fp32" if model in FROM_PRNG else precision


def _compute(model: str, precision: Precision) -> Compute:
    """How an original computes: the steps of a published body are worth being divided."""
    return Compute(precision, lanes=1 if model in FROM_PRNG else LANES)


def _key(dataset: Dataset, model: str, recipe: Recipe, precision: Precision) -> str:
    """Digest of everything that decides the original: data, split, tokens, start and training."""
    whole = hashlib.sha256(dataset.sha256.encode())
    whole.update(dataset.test.astype("<i8").tobytes())
    whole.update(hashlib.sha256(tokenizer_file(model).read_bytes()).digest())
    whole.update(_seed(dataset, model))
    whole.update(recipe.encode())
    if model not in REGISTRY:  # earlier versions drew what a file has under an old name
        whole.update(b"old names")
    if precision != "fp32":
        whole.update(precision.encode())
    if (lanes := _compute(model, precision).lanes) > 1:
        whole.update(f"{lanes} lanes".encode())
    return whole.hexdigest()


def _read(path: Path, key: str, tests: Rows) -> Original | None:
    if not path.is_file():
        return None
    try:
        record = read_record(path)
        if record["kind"] != "original" or record["config"]["key"] != key:
            return None
        original = _from_results(record["results"], tests)
    except (OutputError, KeyError, TypeError, ValueError):
        return None  # a damaged copy is as good as none: it is trained again
    return original if len(original.correct) == len(tests) else None


def _from_results(results: dict[str, Any], tests: Rows) -> Original:
    bits = np.frombuffer(base64.b64decode(results["correct_bits"]), dtype=np.uint8)
    correct = np.unpackbits(bits)[: results["original"]["n"]].astype(bool)
    return Original(results["original"]["name"], correct, tests)


def train_original(
    dataset: Dataset, model: str, max_length: int, progress: Progress | None = None,
    steps: int | None = None, precision: Precision = "fp32",
) -> tuple[RunRecord, nn.Module]:  # fmt: skip
    """Train the original, and return its record and the model."""
    torch.set_num_threads(1)
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.monotonic()
    recipe = original_recipe(model, len(dataset.train), max_length, steps)
    module, compute = grow(_seed(dataset, model)), _compute(model, precision)

    def report(step: int, _loss: float) -> None:
        if progress:
            progress(step, recipe.steps)

    rng = generator(0, "original")
    fit(module, dataset.table, dataset.train, recipe, rng, compute, report)
    labels = dataset.table.labels[dataset.test]
    likelihoods = predict(module, dataset.table, dataset.test, max_length, compute)
    right = likelihoods.argmax(axis=1) == labels
    start = "random" if model in FROM_PRNG else "pre-trained"
    name = f"{model}, {start} start, trained on all {len(dataset.train)} training examples"
    if steps is not None:
        name += f", {steps:,} steps of {recipe.batch_size}"
    if precision != "fp32":
        name += f", in {precision}"
    results = {
        "original": {"name": name}
        | Original(name, right, dataset.test).accuracy(dataset, dataset.test).to_record(),
        "correct_bits": base64.b64encode(np.packbits(right).tobytes()).decode(),
    }
    key = _key(dataset, model, recipe, precision)
    record = RunRecord(
        kind="original",
        config={"key": key, "model": model, "recipe": recipe.model_dump()},
        provenance={
            **code(), "packages": packages(), "dataset": describe_dataset(dataset),
            "machine": machine("single", 1), "started": started,
            "wall_seconds": round(time.monotonic() - clock, 3),
        },
        status="completed",
        results=results,
    )  # fmt: skip
    return record, module


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """The data set as it stands in a record's provenance."""
    return {
        "source": dataset.source,
        "sha256": dataset.sha256,
        "train": len(dataset.train),
        "test": len(dataset.test),
        "duplicates_dropped": dataset.duplicates_dropped,
        "conflicts": dataset.conflicts,
        "empty_dropped": dataset.empty_dropped,
        "classes": list(dataset.classes),
        "notes": list(dataset.notes),
    }
