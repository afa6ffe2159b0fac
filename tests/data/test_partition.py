"""Partitioners: every row given out once, to the definitions of the literature."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.data import partition as partition_module
from fedseed.data.options import PARTITIONS
from fedseed.data.partition import label_counts, partition
from fedseed.errors import DataError
from fedseed.randomness import generator

LABELS = np.arange(1000) % 2
ROWS = np.arange(100, 1000)


@settings(max_examples=60)
@given(
    scheme=st.sampled_from(PARTITIONS),
    clients=st.integers(1, 120),
    alpha=st.floats(0.05, 20),
    seed=st.integers(0, 99),
)
def test_every_row_once(scheme: str, clients: int, alpha: float, seed: int) -> None:
    parts = partition(
        LABELS, ROWS, clients, scheme, generator(seed, "partition"), alpha=alpha
    ).parts
    assert len(parts) == clients
    assert np.array_equal(np.sort(np.concatenate(parts)), ROWS)
    assert min(len(part) for part in parts) >= 2


def test_iid_sizes() -> None:
    parts = partition(LABELS, ROWS, 7, "iid", generator(0, "partition")).parts
    assert sorted(len(part) for part in parts) == [128, 128, 128, 129, 129, 129, 129]


def test_shards_hold_few_labels() -> None:
    labels = np.arange(1000) % 10
    parts = partition(labels, np.arange(1000), 50, "shards", generator(0, "partition")).parts
    kinds = [np.count_nonzero(counts) for counts in label_counts(labels, parts, 10)]
    assert max(kinds) <= 4  # two pieces, each of at most two classes
    assert np.mean(kinds) < 3


def test_alpha_decides_how_uneven() -> None:
    def spread(alpha: float) -> float:
        parts = partition(LABELS, ROWS, 10, "dirichlet", generator(1, "x"), alpha=alpha).parts
        shares = np.array([counts[0] / sum(counts) for counts in label_counts(LABELS, parts, 2)])
        return float(shares.std())

    assert spread(0.1) > 0.25 > 0.05 > spread(1000)


def test_ten_thousand_clients() -> None:
    labels = np.arange(25_000) % 2
    parts = partition(labels, np.arange(25_000), 10_000, "dirichlet", generator(0, "p")).parts
    assert len(parts) == 10_000


@pytest.mark.parametrize("clients", [451, 10_000])
def test_more_clients_than_examples(clients: int) -> None:
    with pytest.raises(DataError, match="fewer --clients"):
        partition(LABELS, ROWS, clients, "iid", generator(0, "partition"))


@pytest.mark.parametrize("scheme", PARTITIONS)
def test_clients_that_were_topped_up_are_counted(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short: list[int] = []

    def note(parts: list[np.ndarray], minimum: int) -> list[np.ndarray]:
        short.append(sum(len(part) < minimum for part in parts))
        return top_up(parts, minimum)

    top_up = partition_module._top_up
    monkeypatch.setattr(partition_module, "_top_up", note)
    split = partition(LABELS, ROWS, 200, scheme, generator(3, "partition"), alpha=0.05, minimum=1)
    assert split.topped_up == short[0]
    assert (short[0] > 20) == (scheme in ("dirichlet", "quantity"))


@pytest.mark.parametrize("alpha", [0.3, 3.0])
def test_dirichlet_shares_are_as_uneven_as_those_of_flwr_datasets(alpha: float) -> None:
    """The spread of class shares, averaged over seeds, agrees with the library's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip("datasets")
        partitioners = pytest.importorskip("flwr_datasets.partitioner")
    labels = np.arange(2000) % 2
    table = datasets.Dataset.from_dict({"label": labels})

    def spread(parts: Sequence[np.ndarray]) -> float:
        shares = [np.bincount(labels[part], minlength=2) / len(part) for part in parts]
        return float(np.std([share[0] for share in shares]))

    ours, theirs = [], []
    for seed in range(12):
        parts = partition(
            labels, np.arange(2000), 8, "dirichlet", generator(seed, "p"), alpha=alpha
        ).parts
        ours.append(spread(parts))
        library = partitioners.DirichletPartitioner(
            8, "label", alpha, min_partition_size=2, self_balancing=False, seed=seed
        )
        library.dataset = table
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            indices = [np.array(library.load_partition(n)["label"]) for n in range(8)]
        theirs.append(float(np.std([np.mean(part == 0) for part in indices])))
    error = np.sqrt(np.var(ours) / 12 + np.var(theirs) / 12)
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error
