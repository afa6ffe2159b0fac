"""Tables of frequencies that travel in a byte each, and the distributions that they stand for."""

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray


def frequency_table(often: NDArray[Any]) -> NDArray[np.uint8]:
    """Frequencies in a byte each: the largest 255, at least 1 for what occurs, rounded up.

    Args:
        often: how often each symbol occurs, not all 0.
    """
    return np.asarray(-(-often * 255 // often.max()), dtype=np.uint8)


def distribution(table: NDArray[np.uint8]) -> Any:
    """The distribution of a table, for a coder of the library constriction."""
    whole = table.astype(np.float64)
    return constriction.stream.model.Categorical(whole / whole.sum(), perfect=False)
