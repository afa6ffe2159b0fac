"""The world of the privacy study: who holds which texts, and the canaries planted among them.

Candidates are a fixed set of training texts. Every repeat partitions half of them among the
clients; the other half is nobody's. An attacker knows the candidates, the seed, the recipe and the
protocol, and has run the same world with other partitions (its shadow runs): the strongest honest
assumption.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.tokens.vocabulary import CLS, FIRST_WORD, SEP
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.partition import partition
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset, TokenTable
from fedseed.randomness import generator

CANARY_REPEATS = (1, 4, 16)
"""How often a canary stands in its client's shard."""
_CANARY_WORDS = 10


@dataclass(frozen=True)
class World:
    """Texts and who may hold them."""

    dataset: Dataset
    """With the canaries and their references behind the texts."""
    candidates: Rows
    population: Rows
    """Further texts, which the attacker knows to be nobody's."""
    newcomer: Rows
    """The texts of somebody who takes part in no round; nobody's candidates."""
    canaries: Rows
    """One for each of ``CANARY_REPEATS`` and client, in turn."""
    references: Rows
    """Texts of the canaries' form that nobody holds."""
    clients: int
    shard: int

    def owners(self, repeat: int, run_seed: int) -> NDArray[np.int64]:
        """Which client holds each candidate, -1 for nobody; shape ``(candidates,)``."""
        order = generator(run_seed, "privacy/deal", repeat).permutation(len(self.candidates))
        owners = np.full(len(self.candidates), -1)
        for client in range(self.clients):
            owners[order[client * self.shard : (client + 1) * self.shard]] = client
        return owners

    def canary_owner(self, place: int) -> int:
        """The client that holds a canary."""
        return place // len(CANARY_REPEATS)

    def federated(
        self, config: RunConfig, public: Any, repeat: int, run_seed: int
    ) -> FederatedDataset:
        """The shards of a repeat, canaries included; the newcomer stands beside."""
        owners = self.owners(repeat, run_seed)
        parts = [self.candidates[owners == client] for client in range(self.clients)]
        for place, row in enumerate(self.canaries):
            copies = np.repeat(row, CANARY_REPEATS[place % len(CANARY_REPEATS)])
            client = self.canary_owner(place)
            parts[client] = np.concatenate([parts[client], copies])
        return FederatedDataset(config, self.dataset, (*parts, self.newcomer), public)

    def skewed_dataset(
        self, config: RunConfig, public: Any, repeat: int, run_seed: int
    ) -> FederatedDataset:
        """Shards of unequal class mixes (Dirichlet 0.5), without canaries."""
        rng = generator(run_seed, "privacy/skew", repeat)
        labels = self.dataset.table.labels
        chosen = rng.permutation(self.candidates)[: self.clients * self.shard]
        skewed = partition(
            labels, np.sort(chosen), self.clients, "dirichlet", rng, alpha=0.5,
            shards_per_client=2, minimum=10,
        )  # fmt: skip
        return FederatedDataset(config, self.dataset, (*skewed.parts, self.newcomer), public)


def _canary_texts(
    count: int, classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Texts of random words with random labels: ids of shape ``(count, tokens)``, and classes."""
    words = rng.integers(FIRST_WORD, 30_000, size=(count, _CANARY_WORDS))
    ends = np.full((count, 1), CLS), np.full((count, 1), SEP)
    return np.concatenate([ends[0], words, ends[1]], axis=1), rng.integers(classes, size=count)


def make_world(
    dataset: Dataset, clients: int, shard: int, population: int, references: int, seed: int,
    public: Rows,
) -> World:  # fmt: skip
    """Choose candidates, and make canaries.

    Args:
        dataset: the data; only its training split is used.
        clients: number of clients.
        shard: texts of one client.
        population: texts that nobody holds and the attacker knows.
        references: texts of the canaries' form to compare them with.
        seed: decides all of it.
        public: training texts that are set aside, and are nobody's candidates.
    """
    rng = generator(seed, "privacy/candidates")
    mixed = rng.permutation(np.setdiff1d(dataset.train, public))
    size = 2 * clients * shard
    count = clients * len(CANARY_REPEATS)
    planted = _canary_texts(count + references, dataset.labels, generator(seed, "privacy/canaries"))
    table = with_texts(dataset.table, *planted)
    new = np.arange(len(dataset.table.labels), len(table.labels))
    return World(
        replace(dataset, table=table), np.sort(mixed[:size]),
        np.sort(mixed[size : size + population]),
        np.sort(mixed[size + population : size + population + shard]),
        new[:count], new[count:], clients, shard,
    )  # fmt: skip


def with_texts(table: TokenTable, ids: NDArray[np.int64], labels: NDArray[np.int64]) -> TokenTable:
    """A table with further texts of one length at its end.

    Args:
        table: the tokens so far.
        ids: token ids, shape ``(texts, tokens)``.
        labels: class numbers, shape ``(texts,)``.
    """
    tokens = np.concatenate([table.tokens, ids.reshape(-1).astype(table.tokens.dtype)])
    further = table.offsets[-1] + ids.shape[1] * np.arange(1, len(ids) + 1)
    offsets = np.concatenate([table.offsets, further])
    return TokenTable(tokens, offsets, np.concatenate([table.labels, labels]))
