"""Widths that batches are padded to."""

import numpy as np

from fedseed.data.tokens import widths


def test_rounded_widths_are_few_and_at_most_a_quarter_wider() -> None:
    lengths = np.arange(1, 513)
    rounded = widths(lengths, 512, 8)
    assert len(set(rounded.tolist())) == 20
    assert (rounded >= lengths).all()
    assert ((rounded - lengths < 8) | (rounded <= 1.25 * lengths)).all()
    assert (np.diff(rounded) >= 0).all()
    assert (widths(lengths, 100, 8) == np.minimum(rounded, 100)).all()
    assert (widths(lengths, 512, 1) == lengths).all()
