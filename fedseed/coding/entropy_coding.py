"""Entropy coding for all protocols: asymmetric numeral systems through constriction.

A coder is a stack (Duda 2013; Bamler 2022): what was pushed last is read first. Distributions are
made of numbers that travel, so that both ends have the same ones.
"""

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from fedseed.errors import WireError

Coder = constriction.stream.stack.AnsCoder
"""An empty stack, when called without arguments."""
_Model = constriction.stream.model
_MOST = 65_535


def bernoulli(share: float) -> Any:
    """A distribution over 0 and 1; ``share`` is that of ones, in (0, 1)."""
    return _Model.Bernoulli(share, perfect=False)


def categorical(counts: NDArray[Any]) -> Any:
    """A distribution over ``range(len(counts))`` in proportion to counts, not all of them 0."""
    whole = counts.astype(np.float64)
    return _Model.Categorical(whole / whole.sum(), perfect=False)


def uniform() -> Any:
    """Even distributions over ``range(size)``; a size is given for each symbol."""
    return _Model.Uniform()


def frequencies(symbols: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """How often each symbol below ``size`` occurs, scaled to 16 bits; at least 1 if it does."""
    counts = np.bincount(symbols, minlength=size)
    scale = min(1.0, _MOST / max(1, int(counts.max(initial=0))))
    return np.where(counts > 0, np.maximum(1, np.floor(counts * scale)), 0).astype(np.int64)


def write_words(coder: Any) -> bytes:
    """A stack as bytes: 32-bit words, little-endian."""
    return bytes(coder.get_compressed().astype("<u4").tobytes())


def read_words(data: bytes) -> Any:
    """The stack of some bytes.

    Raises:
        WireError: no whole words, or words that a coder does not end with.
    """
    if len(data) % 4:
        raise WireError("what is entropy coded is truncated")
    try:
        return Coder(np.frombuffer(data, "<u4").astype(np.uint32))
    except ValueError as error:
        raise WireError("what is entropy coded is damaged") from error


def refuse_rest(coder: Any) -> None:
    """Refuse a stack from which not everything has been read, or too much.

    Raises:
        WireError: words are left over or missing.
    """
    if not coder.is_empty():
        raise WireError("what is entropy coded is truncated or damaged")
