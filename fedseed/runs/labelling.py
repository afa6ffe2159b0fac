"""Labels and probabilities for the texts of a table, by a model's folder, a seed or a package."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedseed.data.tables.cells import Wanted
from fedseed.data.tables.files import read_file
from fedseed.data.texts import clean_text
from fedseed.data.tokenise import Encoder
from fedseed.data.tokens import TokenTable
from fedseed.errors import ConfigError, DataError
from fedseed.files import read_json, write_text
from fedseed.models.head import class_names, has_head
from fedseed.models.published import model_folder, tokenizer_file
from fedseed.models.registry import build, find_model, max_tokens
from fedseed.models.taking import published_weights
from fedseed.results.display import Display
from fedseed.runs.model_folder import classes_and_length, notes_of
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode, read_seed
from fedseed.training import choose, predict
from fedseed.training.lanes import LANES

_AT_ONCE = 5000
"""Texts that are labelled before the next are."""


@dataclass(frozen=True)
class Classifier:
    """A model that is ready to label texts."""

    module: nn.Module
    tokenizer: Path
    classes: tuple[str, ...]
    max_length: int
    """Tokens of a text that it reads."""
    notes: tuple[str, ...] = ()
    """What is to be said of it."""

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of every class for each text, in fp32, shape ``(texts, classes)``."""
        encoded = Encoder(self.tokenizer, self.max_length).encode(texts)
        none = np.zeros(len(texts), dtype=np.int64)
        table = TokenTable(encoded.tokens, encoded.offsets, none)
        rows = np.arange(len(texts))
        torch.set_num_threads(1)
        compute = replace(choose("fp32"), lanes=LANES)
        likelihoods = predict(self.module, table, rows, self.max_length, compute)
        return np.exp(likelihoods)


def open_classifier(source: str) -> Classifier:
    """Open a model's folder, a ``.fseed`` file or a package.

    Args:
        source: a path, or a classifier's id on the hub.

    Raises:
        ConfigError: there is no such model, or it has no head.
        SeedError: the file is no seed.
    """
    if Path(source).is_file():
        seed = read_seed(Path(source))
        names, length = classes_and_length(Path(source), seed, None)
        module, notes = grow(encode(seed)), notes_of(Path(source), seed)
        return Classifier(module, tokenizer_file(seed.model), tuple(names), length, notes)
    if not Path(source).is_dir() and source.endswith(".fseed"):
        raise ConfigError(f"there is no file {source}")
    try:
        names = list(class_names(source))
        model = find_model(source, len(names))
    except ConfigError as error:  # which speaks of a run's option
        raise ConfigError(str(error).replace("--model ", "")) from error
    if len(names) < 2 or not has_head(model):
        raise ConfigError(f"{source} is no trained classifier: give one with names of its classes")
    module = build(model, published_weights(model).weights)
    return Classifier(module, tokenizer_file(source), tuple(names), _length(source))


def _length(source: str) -> int:
    """Tokens that a model's folder says are read of a text, at most those that it takes."""
    most, path = max_tokens(source), model_folder(source) / "tokenizer_config.json"
    said = read_json(path, f"the {path.name}", ConfigError) if path.is_file() else {}
    length = said.get("model_max_length") if isinstance(said, dict) else None
    return min(most, length) if isinstance(length, int) and length >= 4 else most


def label_table(
    classifier: Classifier,
    table: Path,
    wanted: Wanted,
    out: Path,
    with_texts: bool,
    display: Display,
) -> list[int]:
    """Write a table of labels and probabilities, a row for every row of another, numbered from 1.

    Args:
        classifier: decides.
        table: a table of texts.
        wanted: how it is read; labels in it are not looked at.
        out: a CSV file.
        with_texts: whether the texts stand there too.
        display: shows how far it is.

    Returns:
        How many texts each class was given.

    Raises:
        DataError: the table cannot be read, or holds no texts.
        OutputError: the file cannot be written.
    """
    texts = list(_texts(table, wanted))
    if not texts:
        raise DataError(f"{table.name} holds no rows: give a table with texts")
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    names = [f"probability of {name}" for name in classifier.classes]
    writer.writerow(["row", *(["text"] if with_texts else []), "label", *names])
    counts = np.zeros(len(classifier.classes), dtype=np.int64)
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        told = classifier.probabilities(part)
        chosen = told.argmax(axis=1)
        counts += np.bincount(chosen, minlength=len(counts))
        for place, (text, number) in enumerate(zip(part, chosen, strict=True)):
            cells = [start + place + 1, *([text] if with_texts else [])]
            shares = (f"{share:.6f}" for share in told[place])
            writer.writerow([*cells, classifier.classes[number], *shares])
        done = start + len(part)
        display.progress("labelling", done, len(texts), f"{done:,} of {len(texts):,} texts")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, written.getvalue())
    return [int(count) for count in counts]


def _texts(path: Path, wanted: Wanted) -> Iterator[str]:
    table = read_file(str(path), wanted)
    for number, cells in enumerate(table.rows(), 1):
        yield clean_text(cells.texts, table.name, number)
