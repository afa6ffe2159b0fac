"""Texts to tokens, a thousand texts at a time: what is kept of a text is its tokens."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import folded_digest
from fedseed.errors import ConfigError

_CHUNK = 1000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tokens:
    """Tokens of texts, end to end, and what tells the texts apart."""

    tokens: NDArray[Any]
    """Shape ``(total tokens,)``, uint16 or uint32."""
    offsets: NDArray[np.int64]
    """Text ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``; shape ``(texts + 1,)``."""
    seen: NDArray[np.void]
    """Digest of the tokens of each whole text, 16 bytes: equal for texts that a model cannot tell
    apart, however long they are; shape ``(texts,)``."""
    folded: NDArray[np.void]
    """Digest of each text with its white space folded, 16 bytes; shape ``(texts,)``."""
    content: NDArray[np.void]
    """sha256 of each text's UTF-8, shape ``(texts,)``."""
    empty: NDArray[np.bool_]
    """Texts of no token but special ones, shape ``(texts,)``."""

    def kept(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Tokens end to end and offsets of some texts, in their order."""
        sizes = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        tokens = np.empty(offsets[-1], dtype=self.tokens.dtype)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            pieces = [self.tokens[self.offsets[row] : self.offsets[row + 1]] for row in part]
            tokens[offsets[start] : offsets[start + len(part)]] = np.concatenate(pieces)
        return tokens, offsets


class Encoder:
    """A tokenizer that gives whole texts, to tell them apart, and the part that is kept."""

    def __init__(self, tokenizer: Path, max_length: int) -> None:
        """Load a tokenizer.

        Args:
            tokenizer: a ``tokenizer.json`` file.
            max_length: tokens kept of each text, special tokens included.

        Raises:
            ConfigError: it is none.
        """
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises nothing more exact
            raise ConfigError(f"{tokenizer} is not a tokenizer: {error}") from error
        self._tokenizer.no_padding()
        self._max_length = max_length
        self._dtype = np.uint16 if self._tokenizer.get_vocab_size() <= 65536 else np.uint32

    def encode(self, texts: Iterable[str], progress: Callable[[int], None] | None = None) -> Tokens:
        """Tokens of all texts.

        Args:
            texts: read once, in chunks.
            progress: called with the number of texts done.
        """
        source, done = iter(texts), 0
        pieces: list[NDArray[Any]] = [np.zeros(0, dtype=self._dtype)]
        sizes: list[NDArray[np.int64]] = []
        empty: list[NDArray[np.bool_]] = []
        seen, folded, content = bytearray(), bytearray(), bytearray()
        while chunk := list(islice(source, _CHUNK)):
            self._tokenizer.no_truncation()
            whole = self._tokenizer.encode_batch_fast(chunk, add_special_tokens=False)
            self._tokenizer.enable_truncation(self._max_length)
            ids = [np.asarray(self._tokenizer.post_process(one).ids, self._dtype) for one in whole]
            pieces.append(np.concatenate(ids))
            sizes.append(np.array([len(part) for part in ids], dtype=np.int64))
            empty.append(np.array([not one.ids for one in whole], dtype=bool))
            for text, one in zip(chunk, whole, strict=True):
                raw = np.asarray(one.ids, dtype="<u4").tobytes()
                seen += hashlib.blake2b(raw, digest_size=16).digest()
                folded += folded_digest(text)
                content += hashlib.sha256(text.encode()).digest()
            done += len(chunk)
            if progress:
                progress(done)
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), *sizes]).cumsum()
        return Tokens(
            np.concatenate(pieces), offsets, np.frombuffer(bytes(seen), "V16"),
            np.frombuffer(bytes(folded), "V16"),
            np.frombuffer(bytes(content), "V32"), np.concatenate([np.zeros(0, bool), *empty]),
        )  # fmt: skip
