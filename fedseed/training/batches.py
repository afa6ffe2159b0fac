"""Which examples a step trains on, and how they are laid out."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable, widths


def batches(rows: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Endless batches; an epoch's last, smaller batch is filled from the next epoch."""
    waiting = np.empty(0, dtype=np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(rows)])
        yield waiting[:size]
        waiting = waiting[size:]


def longest_first(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of texts in order of their length, so that neighbours need little padding."""
    return np.argsort(-lengths, kind="stable")


def chunks(lengths: NDArray[np.int64], budget: int) -> Iterator[slice]:
    """Cut texts, longest first, into chunks of at most ``budget`` tokens, padding included.

    Args:
        lengths: tokens of each text.
        budget: tokens; a single longer text makes a chunk of its own.
    """
    start = 0
    while start < len(lengths):
        end = start + max(1, budget // max(1, int(lengths[start])))
        yield slice(start, min(end, len(lengths)))
        start = end


def padded_chunks(
    table: TokenTable, rows: Rows, max_length: int, budget: int, multiple: int = 1
) -> Iterator[tuple[Rows, Tensor, Tensor]]:
    """Texts in chunks, longest first: the rows of each, token ids and lengths.

    Args:
        table: the tokens.
        rows: the texts.
        max_length: tokens kept of each.
        budget: tokens of a chunk, see :func:`chunks`.
        multiple: see :func:`fedseed.data.tokens.widths`.
    """
    lengths = table.lengths(rows, max_length)
    order = longest_first(lengths)
    for chunk in chunks(widths(lengths[order], max_length, multiple), budget):
        texts = rows[order[chunk]]
        ids, sizes = table.padded(texts, max_length, multiple)
        yield texts, torch.from_numpy(ids), torch.from_numpy(sizes)


def stacked(
    table: TokenTable, rows: Sequence[Rows], max_length: int, multiple: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and lengths of several models' batches, all padded to the longest text.

    See :meth:`TokenTable.padded`.

    Returns:
        Ids of shape ``(models, texts, tokens)`` and lengths of shape ``(models, texts)``.
    """
    ids, lengths = table.padded(np.concatenate(rows), max_length, multiple)
    return ids.reshape(len(rows), -1, ids.shape[1]), lengths.reshape(len(rows), -1)
