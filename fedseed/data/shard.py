"""Shard: one client's private examples, with its own train and validation split."""

from dataclasses import dataclass

import numpy as np

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable


@dataclass(frozen=True)
class Shard:
    """Rows of a token table that belong to one client and never leave it."""

    table: TokenTable
    train: Rows
    validation: Rows

    def whole(self) -> Rows:
        """All of the client's rows, for training that needs no validation."""
        return np.sort(np.concatenate([self.train, self.validation]))


def make_shard(
    table: TokenTable, rows: Rows, validation_share: float, rng: np.random.Generator
) -> Shard:
    """Split one client's rows into train and validation, at least one row each if there are two.

    Args:
        table: the data set's tokens.
        rows: the client's rows, at least one; a single one is for training.
        validation_share: share of the rows kept for validation, in (0, 1).
        rng: the client's generator of this choice.
    """
    mixed = rng.permutation(rows)
    size = min(max(1, round(validation_share * len(rows))), len(rows) - 1)
    return Shard(table, np.sort(mixed[size:]), np.sort(mixed[:size]))
