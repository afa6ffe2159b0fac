"""Running text for language models: the bundled reviews, WikiText-2, or a file."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedseed.data.sources import open_source
from fedseed.data.splits import split, text_digests
from fedseed.errors import DataError, first_line
from fedseed.hub import datasets_library, prepare_hub

WIKITEXT = ("Salesforce/wikitext", "wikitext-2-raw-v1")
_MOST = 1 << 30
"""Longest text file, bytes."""


@dataclass(frozen=True)
class PlainText:
    """Text to score, and text of the same kind to learn from if there is any."""

    name: str
    train: tuple[str, ...]
    """Documents; none when the source has only the text to score."""
    test: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Digest of all documents."""
        whole = hashlib.sha256()
        for part in (self.train, self.test):
            for text in part:
                encoded = text.encode("utf-8", "surrogatepass")
                whole.update(len(encoded).to_bytes(8, "little") + encoded)
            whole.update(b"\xff" * 8)
        return whole.hexdigest()


def open_text(text: str, most: int | None = None) -> PlainText:
    """Read a text.

    Args:
        text: ``bundled``, ``wikitext-2`` (from the hub), ``hub:NAME`` or ``hub:FOLDER`` with splits
            train and test and a column text, or a UTF-8 file.
        most: documents of each part to keep, about, spread evenly; all when None.

    Raises:
        DataError: there is no such text, or it is empty.
    """
    if text == "bundled":
        whole = _bundled()
    elif text == "wikitext-2" or text.startswith("hub:"):
        whole = _hub(*(WIKITEXT if text == "wikitext-2" else (text.removeprefix("hub:"), None)))
    else:
        whole = _file(Path(os.path.expanduser(text)))
    if not any(part.strip() for part in whole.test):
        raise DataError(f"--text {text} is empty: give a text with at least one context of tokens")
    return PlainText(whole.name, _some(whole.train, most), _some(whole.test, most))


def _some(texts: tuple[str, ...], most: int | None) -> tuple[str, ...]:
    return texts if most is None or not texts else texts[:: -(-len(texts) // most)]


def _bundled() -> PlainText:
    source = open_source("bundled")
    raw = source.read()
    parts = split(text_digests(raw.texts), np.asarray(raw.labels))

    def texts(rows: Sequence[int]) -> tuple[str, ...]:
        return tuple(raw.texts[parts.kept[row]] for row in rows)

    return PlainText(source.name, texts(parts.train.tolist()), texts(parts.test.tolist()))


def _file(path: Path) -> PlainText:
    try:
        if path.stat().st_size > _MOST:
            raise DataError(f"--text {path} is larger than {_MOST:,} bytes: give a part of it")
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot read --text {path}: {error.strerror}; give bundled, wikitext-2, hub:NAME or a "
            "file"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"--text {path} is not UTF-8 text: convert it") from error
    return PlainText(path.name, (), (content,))


def _hub(name: str, variant: str | None) -> PlainText:
    prepare_hub()
    try:
        splits: Any = datasets_library().load_dataset(name, variant)
        # The published figures join the lines of a split by an empty line.
        joined = {part: "\n\n".join(splits[part]["text"]) for part in ("train", "test")}
    except Exception as error:  # the library raises some twenty kinds, all mean the same here
        raise DataError(
            f"cannot load the text '{name}' from the hub ({first_line(error)}): check the name and "
            "the connection, or use --text bundled or a file"
        ) from error
    return PlainText(f"hub: {name} {variant or ''}".strip(), (joined["train"],), (joined["test"],))
