"""The pretrained seed: published weights by digest, a drawn head, an order of its classes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedseed.errors import SeedError
from fedseed.models.registry import find_model
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, decode, describe, encode, sizes
from fedseed.seeds.kinds.pretrained import pretrained_seed
from tests.models.folders import make_folder, tensors

DATA = ("bad", "fair", "good")


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
def test_the_heads_rows_come_in_the_order_of_the_data(tmp_path: Path, act: str) -> None:
    names = {"0": "Good", "1": "bad", "2": "fair"}
    name = make_folder(tmp_path, id2label=names, hidden_act=act)
    plain, ordered = pretrained_seed(name, 3, 7), pretrained_seed(name, 3, 7, DATA)
    assert ordered.payload == plain.payload + bytes([1, 2, 0])
    assert decode(encode(ordered)) == ordered
    assert describe(ordered)["head_rows"] == [1, 2, 0]
    shapes = find_model(name, 3).shapes()
    assert sum(sizes(ordered, shapes).values()) == len(encode(ordered))
    before, after = assemble(plain, shapes), assemble(ordered, shapes)
    for tensor, part in tensors().items():
        rows = [1, 2, 0] if tensor.startswith("classifier") else slice(None)
        assert np.array_equal(before[tensor], part)
        assert np.array_equal(after[tensor], part[rows])
    assert grow(encode(ordered)) is not None


def test_classes_in_the_same_order_leave_the_bytes_as_they_were(tmp_path: Path) -> None:
    name = make_folder(tmp_path, id2label=dict(enumerate(DATA)))
    assert pretrained_seed(name, 3, 7, DATA) == pretrained_seed(name, 3, 7)


@given(rows=st.binary(min_size=1, max_size=9))
def test_rows_are_an_order_that_changes_something(rows: bytes) -> None:
    seed = Seed("pretrained", "x", len(rows), bytes(40) + rows)
    if sorted(rows) == list(range(len(rows))) != list(rows):
        assert describe(seed)["head_rows"] == list(rows)
        return
    with pytest.raises(SeedError, match="no order of classes"):
        describe(seed)


def test_rows_of_another_number_of_classes(tmp_path: Path) -> None:
    name = make_folder(tmp_path)
    payload = pretrained_seed(name, 3, 7).payload + bytes([1, 0])
    seed = Seed("pretrained", name, 3, payload)
    with pytest.raises(SeedError, match="orders 2 classes of 3"):
        assemble(seed, find_model(name, 3).shapes())
