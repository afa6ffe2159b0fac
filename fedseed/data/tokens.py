"""Tokens of a data set: made once, kept in a cache, memory-mapped ever after."""

import contextlib
import ctypes
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from fedseed.data.sources import Source
from fedseed.data.splits import Rows, content_digest, split
from fedseed.errors import ConfigError, OutputError
from fedseed.files import new_folder

_CACHE_VERSION = 3
_CHUNK = 1000
Progress = Callable[[int, int], None]


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

    @property
    def labels(self) -> int:
        """Number of classes."""
        return len(self.classes)


def cache_folder() -> Path:
    """Folder for everything that can be made again: ``$FEDSEED_CACHE`` or the user's cache."""
    given = os.environ.get("FEDSEED_CACHE")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("fedseed"))


def load_dataset(
    source: Source, tokenizer: Path, max_length: int, progress: Progress | None = None
) -> Dataset:
    """Tokenise a data set, or open it in the cache.

    Args:
        source: where the texts are.
        tokenizer: a ``tokenizer.json`` file.
        max_length: tokens kept of each text, special tokens included.
        progress: called with texts done and texts in all while tokenising.

    Raises:
        DataError: the data cannot be read or split.
        OutputError: the cache cannot be written.
    """
    vocabulary = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    name = f"{_CACHE_VERSION}/{source.key}/{vocabulary}/{max_length}"
    folder = _made(name, lambda new: _fill(new, source, tokenizer, max_length, progress))
    return _open(folder, source.name)


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
    folder = _made(name, lambda new: _encode(new, read(), tokenizer, max_length, None))
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
    folder: Path, source: Source, tokenizer: Path, max_length: int, progress: Progress | None
) -> None:
    raw = source.read()
    parts = split(raw)
    texts = [raw.texts[row] for row in parts.kept]
    labels = [raw.labels[row] for row in parts.kept]
    _encode(folder, texts, tokenizer, max_length, progress)
    np.save(folder / "labels.npy", np.asarray(labels, dtype=np.int64))
    np.save(folder / "train.npy", parts.train)
    np.save(folder / "test.npy", parts.test)
    about = {
        "sha256": content_digest(texts, labels),
        "classes": raw.classes,
        "duplicates_dropped": parts.duplicates_dropped,
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _encode(
    folder: Path, texts: list[str], tokenizer: Path, max_length: int, progress: Progress | None
) -> None:
    from tokenizers import Tokenizer

    try:
        encoder = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(f"{tokenizer} is not a tokenizer: {error}") from error
    encoder.enable_truncation(max_length)
    encoder.no_padding()
    dtype = np.uint16 if encoder.get_vocab_size() <= 65536 else np.uint32
    pieces: list[NDArray[Any]] = []
    sizes: list[int] = [0]
    for start in range(0, len(texts), _CHUNK):
        for encoding in encoder.encode_batch_fast(texts[start : start + _CHUNK]):
            pieces.append(np.asarray(encoding.ids, dtype=dtype))
            sizes.append(len(encoding.ids))
        if progress:
            progress(min(start + _CHUNK, len(texts)), len(texts))
    np.save(folder / "tokens.npy", np.concatenate(pieces))
    np.save(folder / "offsets.npy", np.cumsum(np.asarray(sizes, dtype=np.int64)))


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
            about["duplicates_dropped"],
        )  # fmt: skip
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise OutputError(f"the cached tokens in {folder} are damaged: delete it") from error
