"""A test run on its way: correct predictions and examples by class, alone or in a sum."""

import struct
from collections.abc import Sequence

import numpy as np

from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.evaluation.metrics import ClassCounts

_MOST = 100_000_000
"""Test examples of one client that a server believes."""


def encode_counts(counts: ClassCounts) -> bytes:
    """A test run as bytes: correct predictions, then examples, by class, 4 bytes each."""
    numbers = (*counts.correct, *counts.examples)
    return struct.pack(f"<{len(numbers)}I", *numbers)


def decode_counts(
    payload: bytes, classes: int, expected: Sequence[int] | None = None
) -> ClassCounts:
    """Read a test run.

    Args:
        payload: what the client sent.
        classes: number of classes.
        expected: test examples of each class, where the server knows them.

    Raises:
        WireError: wrong length, other examples, or more correct predictions than examples.
    """
    if len(payload) != 8 * classes:
        raise WireError(f"{len(payload)} bytes are no test run over {classes} classes")
    return _believed(struct.unpack(f"<{2 * classes}I", payload), classes, expected)


def to_words(counts: ClassCounts) -> Words:
    """A test run as numbers that can be summed, shape ``(2 * classes,)``."""
    return np.array([*counts.correct, *counts.examples], dtype=np.uint32)


def from_words(total: Words) -> ClassCounts:
    """Several clients' test runs, summed.

    Raises:
        WireError: more correct predictions than examples.
    """
    return _believed(total.tolist(), len(total) // 2, None)


def _believed(numbers: Sequence[int], classes: int, expected: Sequence[int] | None) -> ClassCounts:
    correct, examples = tuple(numbers[:classes]), tuple(numbers[classes:])
    if expected is not None and list(examples) != list(expected):
        raise WireError("the client tested on other examples")
    if any(c > e for c, e in zip(correct, examples, strict=True)):
        raise WireError("more correct predictions than examples")
    if sum(examples) > _MOST:
        raise WireError(f"{sum(examples):,} test examples are more than a client has")
    return ClassCounts(correct, examples)
