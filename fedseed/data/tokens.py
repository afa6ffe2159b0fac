"""Tokens of a data set: made once, kept in a cache, memory-mapped ever after."""

import contextlib
import ctypes
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.data.cache import cache_folder
from fedseed.data.reading import Reading, Source
from fedseed.data.splits import WHOLE, Rows, Split, SplitRules, content_digest, split
from fedseed.data.tokenise import Encoder, Progress, Tokens
from fedseed.errors import OutputError
from fedseed.files import new_folder

_CACHE_VERSION = 5


@dataclass(frozen=True)
class TokenTable:
    """Tokens of many texts, end to end."""

    tokens: NDArray[Any]
    """Token ids of all texts, shape ``(total tokens,)``, uint16 or uint32."""
    offsets: NDArray[np.int64]
    """Text ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``; shape ``(texts + 1,)``."""
    labels: NDArray[np.int64]
    """Class numbers, shape ``(texts,)``."""
    soft: NDArray[np.float32] | None = None
    """Class probabilities to train on instead of the labels, shape ``(texts, classes)``."""

    def lengths(self, rows: Rows, max_length: int) -> NDArray[np.int64]:
        """Tokens of each text once cut to ``max_length``."""
        sizes: NDArray[np.int64] = self.offsets[rows + 1] - self.offsets[rows]
        return np.minimum(sizes, max_length).astype(np.int64)

    def padded(
        self, rows: Rows, max_length: int, multiple: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids of some texts, padded on the right with 0, and their lengths.

        A longer text keeps its first ``max_length - 1`` tokens and its last one ([SEP]).

        Args:
            rows: texts.
            max_length: tokens kept of each.
            multiple: what the width is rounded up to, see :func:`widths`.

        Returns:
            Ids of shape ``(len(rows), width)`` and lengths of shape ``(len(rows),)``.
        """
        lengths = self.lengths(rows, max_length)
        width = int(widths(lengths.max(keepdims=True), max_length, multiple)[0])
        columns = np.arange(width)
        places = self.offsets[rows][:, None] + columns
        places[columns >= lengths[:, None]] = 0
        places[np.arange(len(rows)), lengths - 1] = self.offsets[rows + 1] - 1
        ids = self.tokens[places].astype(np.int64)
        ids[columns >= lengths[:, None]] = 0
        return ids, lengths


def widths(lengths: NDArray[np.int64], max_length: int, multiple: int) -> NDArray[np.int64]:
    """Lengths rounded up, within ``max_length``, so that few different widths are left.

    Args:
        lengths: tokens of some texts, at least 1.
        max_length: tokens kept of each.
        multiple: short lengths are rounded up to multiples of it, longer ones to multiples of it
            times a power of two that is at most a quarter of the length; 1 rounds nothing.
    """
    steps = np.full_like(lengths, multiple)
    if multiple > 1:
        steps <<= np.log2(np.maximum(lengths / multiple, 4)).astype(np.int64) - 2
    rounded: NDArray[np.int64] = np.minimum(-(-lengths // steps) * steps, max_length)
    return rounded


@dataclass(frozen=True)
class Dataset:
    """A tokenised data set with its fixed train and test rows."""

    source: str
    sha256: str
    """Digest of the kept texts and labels."""
    classes: tuple[str, ...]
    table: TokenTable
    train: Rows
    test: Rows
    duplicates_dropped: int
    conflicts: int = 0
    """Duplicates that had another label than the text that was kept."""
    empty_dropped: int = 0
    """Texts without a token."""
    notes: tuple[str, ...] = ()
    """What was found or assumed when the data were read."""
    kept: Rows | None = None
    """Row of the source for every text."""
    groups: Rows | None = None
    """Number of the group that every text belongs to, where a column says it."""

    @property
    def labels(self) -> int:
        """Number of classes."""
        return len(self.classes)


def load_dataset(
    source: Source, tokenizer: Path, max_length: int, progress: Progress | None = None,
    rules: SplitRules = WHOLE,
) -> Dataset:  # fmt: skip
    """Tokenise a data set, or open it in the cache.

    Args:
        source: where the texts are.
        tokenizer: a ``tokenizer.json`` file.
        max_length: tokens kept of each text, special tokens included.
        progress: called with texts done and texts in all while tokenising.
        rules: how the texts are split.

    Raises:
        DataError: the data cannot be read or split.
        OutputError: the cache cannot be written.
    """
    vocabulary = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    name = f"{_CACHE_VERSION}/{source.key}/{vocabulary}/{max_length}/{rules.drop_rare}"
    if rules.of_one_site:
        name += f"/{rules.test_share}"

    def fill(folder: Path) -> None:
        _fill(folder, source, Encoder(tokenizer, max_length), progress, rules)

    return _open(_made(name, fill), source.name)


def cached_tokens(
    key: str, read: Callable[[], list[str]], tokenizer: Path, max_length: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Tokens of some texts end to end and where each begins, made once and kept in the cache.

    Args:
        key: changes whenever the texts do.
        read: reads the texts.
        tokenizer: a ``tokenizer.json`` file.
        max_length: tokens kept of each text.

    Raises:
        OutputError: the cache cannot be written, or is damaged.
    """
    vocabulary = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    name = f"{_CACHE_VERSION}/{key}/{vocabulary}/{max_length}"
    folder = _made(name, lambda new: _save(new, Encoder(tokenizer, max_length).encode(read())))
    try:
        return _mapped(folder, "tokens"), _mapped(folder, "offsets")
    except (OSError, EOFError, ValueError) as error:
        raise OutputError(f"the cached tokens in {folder} are damaged: delete it") from error


def _made(name: str, fill: Callable[[Path], None]) -> Path:
    """The cache's folder of a name, filled if it is new."""
    folder = cache_folder() / "tokens" / hashlib.sha256(name.encode()).hexdigest()[:32]
    if not folder.is_dir():
        try:
            with new_folder(folder) as temporary:
                fill(temporary)
        except OutputError as error:
            raise OutputError(f"{error}; set FEDSEED_CACHE to a folder with room") from error
        _give_memory_back()
    return folder


def _give_memory_back() -> None:
    """Return freed memory to the system: reading and tokenising took hundreds of megabytes."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _fill(
    folder: Path, source: Source, encoder: Encoder, progress: Progress | None, rules: SplitRules
) -> None:
    reading = source.reading()

    def done(texts: int) -> None:
        if progress:
            progress(texts, max(texts, reading.size))

    encoded = encoder.encode(reading, done)
    labels, classes = reading.classes(1 if rules.of_one_site else 2)
    parts = split(
        encoded.folded, labels, reading.official_test(), seen=encoded.seen,
        rows=np.flatnonzero(~encoded.empty), rules=rules, first_row=reading.first_row,
    )  # fmt: skip
    _save(folder, encoded, parts.kept)
    groups = reading.groups()[parts.kept]
    numbers, names = _without(labels[parts.kept], classes, parts.rare)
    arrays = {"labels": numbers, "train": parts.train, "test": parts.test, "kept": parts.kept}
    for name, array in (arrays | ({"groups": groups} if (groups >= 0).any() else {})).items():
        np.save(folder / f"{name}.npy", array)
    about = {
        "sha256": content_digest(encoded.content[parts.kept], numbers),
        "classes": names,
        "duplicates_dropped": parts.duplicates_dropped,
        "conflicts": parts.conflicts,
        "empty_dropped": int(encoded.empty.sum()),
        "notes": _notes(reading, parts, labels[parts.kept], classes, rules.drop_rare),
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _without(
    labels: Rows, classes: tuple[str, ...], rare: tuple[int, ...]
) -> tuple[Rows, tuple[str, ...]]:
    """Class numbers and names once some classes are left out."""
    stay = [number for number in range(len(classes)) if number not in rare]
    return np.searchsorted(stay, labels).astype(np.int64), tuple(classes[n] for n in stay)


def _notes(
    reading: Reading, parts: Split, labels: Rows, classes: tuple[str, ...], drop_rare: int
) -> list[str]:
    """What the plan says of how the data were read; labels and classes with those left out."""
    notes = list(reading.notes)
    if parts.conflicts:
        notes.append(
            f"{parts.conflicts:,} duplicates have another label than the text that was kept"
        )
    if parts.rare:
        notes.append(
            f"{len(parts.rare)} class(es) of fewer than {drop_rare} examples left out: "
            f"{_some(classes, parts.rare)}"
        )
    for name, rows in (("train", parts.train), ("test", parts.test)):
        absent = np.setdiff1d(np.arange(len(classes)), [*labels[rows], *parts.rare])
        if len(absent):
            listed = _some(classes, absent.tolist())
            notes.append(f"no {name} example of {len(absent)} class(es): {listed}")
    return notes


def _some(classes: tuple[str, ...], numbers: Sequence[int], most: int = 5) -> str:
    """Names of some classes, the first few of them."""
    listed = ", ".join(classes[number][:40] for number in numbers[:most])
    return f"{listed}, ..." if len(numbers) > most else listed


def _save(folder: Path, encoded: Tokens, rows: Rows | None = None) -> None:
    """Write the tokens of all texts or of some."""
    tokens, offsets = (encoded.tokens, encoded.offsets) if rows is None else encoded.kept(rows)
    np.save(folder / "tokens.npy", tokens)
    np.save(folder / "offsets.npy", offsets)


def _mapped(folder: Path, part: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False)
    return array


def _open(folder: Path, name: str) -> Dataset:
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        # As plain arrays over the same map: indexing a memmap makes another one, which takes long.
        offsets, labels = (np.asarray(_mapped(folder, part)) for part in ("offsets", "labels"))
        table = TokenTable(_mapped(folder, "tokens"), offsets, labels)
        return Dataset(
            name, about["sha256"], tuple(about["classes"]), table,
            np.array(_mapped(folder, "train")), np.array(_mapped(folder, "test")),
            about["duplicates_dropped"], about["conflicts"], about["empty_dropped"],
            tuple(about["notes"]), _mapped(folder, "kept"),
            np.array(_mapped(folder, "groups")) if (folder / "groups.npy").is_file() else None,
        )  # fmt: skip
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise OutputError(f"the cached tokens in {folder} are damaged: delete it") from error
