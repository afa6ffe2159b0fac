"""Poisoned data: what a client that lies about its texts trains on, for tests of robustness."""

from dataclasses import replace

from fedseed.data.tokens import TokenTable


def flip_labels(table: TokenTable, classes: int) -> TokenTable:
    """The same texts with flipped labels: class c becomes c + 1, the last one class 0.

    Args:
        table: tokens and labels; the tokens are shared, not copied.
        classes: number of classes.
    """
    return replace(table, labels=(table.labels + 1) % classes)
