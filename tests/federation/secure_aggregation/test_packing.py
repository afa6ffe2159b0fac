"""Small numbers side by side: sums of words are words of sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.coding.fixed_point import LEVELS, from_sum, limits_of, most_weight, to_whole
from fedseed.coding.packing import fields_of, pack, packed_length, unpack
from fedseed.coding.vectors import Parts
from fedseed.protocols.labels.messages import from_levels, levels_of, to_levels


@settings(max_examples=60, deadline=None)
@given(
    clients=st.integers(1, 300), largest=st.integers(1, 300), count=st.integers(1, 40),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_sums_of_words_are_words_of_sums(clients: int, largest: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, largest + 1, (clients, count))
    numbers[0] = largest
    words = [pack(own, clients * largest).astype(np.uint32) for own in numbers]
    total = np.sum(words, axis=0, dtype=np.uint32)
    assert total.shape == (packed_length(count, clients * largest),)
    assert np.array_equal(unpack(total, count, clients * largest), numbers.sum(axis=0))


def test_room_for_the_sum() -> None:
    assert [fields_of(most) for most in (1, 3, 10, 255, 2**16, 2**31)] == [32, 16, 8, 4, 1, 1]


@pytest.mark.parametrize(("classes", "bits"), [(2, 1), (2, 8), (3, 1), (3, 4)])
def test_labels_come_back(classes: int, bits: int) -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(classes), 50).astype(np.float32)
    if bits == 1:
        shares = np.eye(classes, dtype=np.float32)[shares.argmax(axis=1)]
    total = 3 * to_levels(shares, bits)
    again = from_levels(total, classes, bits, 3)
    assert np.abs(again - shares).max() <= 1.01 / levels_of(bits, classes) * (bits > 1)


@pytest.mark.parametrize("clients", [3, 100])
def test_a_mean_in_fixed_point_is_right_on_average(clients: int) -> None:
    rng = np.random.default_rng(clients)
    parts = Parts({"a": (30,), "b": (10, 2)})
    limits = limits_of(parts, {"a": 0.01, "b": 1.0})
    assert limits[[0, 29, 30, 49]] == pytest.approx([0.01, 0.01, 1.0, 1.0])
    changes = rng.uniform(-1.2, 1.2, (clients, 50)).astype(np.float32) * limits
    changes[0, 3] = np.nan
    weights = rng.integers(1, most_weight(clients), clients)
    total = np.zeros(50, np.uint32)
    for change, weight in zip(changes, weights, strict=True):
        total += to_whole(change, limits, int(weight), rng).astype(np.uint32)
    kept = np.clip(np.nan_to_num(changes), -limits, limits)
    mean = (kept * weights[:, None]).sum(axis=0) / weights.sum()
    found = from_sum(total, limits, int(weights.sum()))
    assert np.abs((found - mean) / limits).max() <= 1 / LEVELS
