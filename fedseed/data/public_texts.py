"""Public texts: unlabelled, known to the server and every client."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedseed.data.digests import file_digest
from fedseed.data.sources import CORPORA, bundled_file, bundled_texts
from fedseed.data.splits import Rows, fold
from fedseed.data.tokens import Dataset, TokenTable, cached_tokens
from fedseed.errors import DataError
from fedseed.randomness import generator

_SENTENCES, _REVIEWS = "sentences", "reviews:"
_CORPUS, _ = CORPORA["bundled:sentences"]


@dataclass(frozen=True)
class PublicTexts:
    """Texts without labels, in an order that server and clients share."""

    name: str
    table: TokenTable
    """Its labels are all 0: nobody knows them."""
    rows: Rows

    @property
    def sha256(self) -> str:
        """Of all tokens of the table, and of the rows."""
        whole = hashlib.sha256()
        for part in (self.table.offsets, self.table.tokens, self.rows):
            whole.update(np.ascontiguousarray(part).data)
        return whole.hexdigest()

    def labelled(self, targets: NDArray[np.float32]) -> TokenTable:
        """The table with soft labels for its public rows.

        Args:
            targets: class probabilities in the order of :attr:`rows`, shape ``(rows, classes)``.
        """
        soft = np.zeros((len(self.table.labels), targets.shape[1]), dtype=np.float32)
        soft[self.rows] = targets
        return replace(self.table, soft=soft)


def _split_off(public: str, dataset: Dataset) -> tuple[Rows, Rows]:
    """Training rows that stay with the clients, and those that are set aside as public.

    Which ones are set aside depends on their number alone, not on the run's seed. Texts that begin
    like a test text, so that a model would see the same tokens, are not among them.

    Raises:
        DataError: no number, or one that leaves less than half of the training rows.
    """
    words = public.removeprefix(_REVIEWS)
    most = len(dataset.train) // 2
    if not words.isdecimal() or not 1 <= int(words) <= most:
        raise DataError(f"--public {public}: write reviews:N with N from 1 to {most}")
    tested = _tested(dataset)
    fit = np.array([_digest(dataset.table, row) not in tested for row in dataset.train])
    mixed = generator(0, "public", int(words)).permutation(dataset.train[fit])
    chosen = np.sort(mixed[: int(words)])
    return np.setdiff1d(dataset.train, chosen), chosen


def is_named(public: str) -> bool:
    """Whether public texts are known by a name, rather than a file's path."""
    return public.partition(":")[0] == _SENTENCES or public.startswith(_REVIEWS)


def open_public(
    public: str, dataset: Dataset, tokenizer: Path, max_length: int
) -> tuple[PublicTexts, Rows]:
    """Open public texts, and refuse those that the test split holds as well.

    Args:
        public: ``sentences`` (Rotten Tomatoes, installed with the package), ``sentences:N`` (the
            first N of them), ``reviews:N`` (training texts set aside, whose labels are dropped) or
            a UTF-8 file of one text a line.
        dataset: has the test split and the training texts.
        tokenizer: a ``tokenizer.json`` file.
        max_length: tokens kept of each text.

    Returns:
        The texts, and the training rows that stay with the clients.

    Raises:
        DataError: there are no such texts, or some of them are test texts.
    """
    if public.startswith(_REVIEWS):
        private, rows = _split_off(public, dataset)
        table = replace(dataset.table, labels=np.zeros_like(dataset.table.labels))
        return PublicTexts(f"{len(rows):,} reviews set aside", table, rows), private
    name, key, read = _read(public)
    tokens, offsets = cached_tokens(f"public/{key}", read, tokenizer, max_length)
    labels = np.zeros(len(offsets) - 1, dtype=np.int64)
    rows = np.arange(_wanted(public, len(labels)))
    texts = PublicTexts(name, TokenTable(tokens, offsets, labels), rows)
    refuse_overlap(public, texts, dataset)
    return texts, dataset.train


def _wanted(public: str, there: int) -> int:
    """How many of the texts are taken.

    Raises:
        DataError: no number, or more than there are.
    """
    name, colon, words = public.partition(":")
    if name != _SENTENCES or not colon:
        return there
    if not (words.isascii() and words.isdecimal() and 1 <= int(words[:9]) <= there):
        raise DataError(f"--public {public}: write sentences:N with N from 1 to {there}")
    return int(words)


def _read(public: str) -> tuple[str, str, Callable[[], list[str]]]:
    """Name, a key that changes with the content, and a way to read the texts."""
    if public.partition(":")[0] == _SENTENCES:
        path = bundled_file()

        def sentences() -> list[str]:
            return _distinct(list(bundled_texts(_CORPUS)))

        return "Rotten Tomatoes sentences", f"{file_digest(path)}/{_CORPUS}", sentences
    path = Path(os.path.expanduser(public))
    if not os.path.isfile(path):  # Path.is_file raises for a name that is too long
        raise DataError(
            f"--public {public}: give sentences, reviews:N or a UTF-8 file of one text a line"
        )

    def lines() -> list[str]:
        try:
            return _distinct(path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"--public {public} is not readable UTF-8 text: {error}") from error

    if not any(fold(line) for line in lines()):
        raise DataError(f"--public {public} is empty: give one text a line")
    return path.name, file_digest(path), lines


def _distinct(texts: list[str]) -> list[str]:
    """Texts that are not empty, each once, in order."""
    return list(dict.fromkeys(text for text in texts if fold(text)))


def refuse_overlap(public: str, texts: PublicTexts, dataset: Dataset) -> None:
    """Compare what a model would see of the texts: their kept tokens.

    Raises:
        DataError: some of them are test texts of the dataset.
    """
    tested = _tested(dataset)
    shared = sum(_digest(texts.table, row) in tested for row in texts.rows)
    if shared:
        raise DataError(
            f"--public {public}: {shared} of its texts are test texts: a model that learnt from "
            "them cannot be tested on them; take them out"
        )


def _tested(dataset: Dataset) -> set[bytes]:
    return {_digest(dataset.table, row) for row in dataset.test}


def _digest(table: TokenTable, row: int) -> bytes:
    part = table.tokens[table.offsets[row] : table.offsets[row + 1]]
    return hashlib.blake2b(part.astype("<u4").tobytes(), digest_size=16).digest()
