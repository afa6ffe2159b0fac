"""FederatedDataset: the data of a run with every client's shard. Each process opens its own."""

import functools
from dataclasses import dataclass

import numpy as np

from fedseed.data.natural import natural_partition
from fedseed.data.options import NATURAL, DataOptions, ShardOptions
from fedseed.data.partition import label_counts, partition
from fedseed.data.poisoning import flip_labels
from fedseed.data.public_texts import PublicTexts, open_public
from fedseed.data.shard import Shard, make_shard
from fedseed.data.sources import open_source
from fedseed.data.splits import Rows, SplitRules
from fedseed.data.tokenise import Progress
from fedseed.data.tokens import Dataset, TokenTable, load_dataset
from fedseed.errors import ConfigError
from fedseed.models.architecture import REGISTRY
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import max_tokens, vocabulary
from fedseed.models.tokenizer import refuse_tokenizer, unknown_share
from fedseed.randomness import generator


@dataclass(frozen=True)
class FederatedDataset:
    """A data set and its partition. Partitions from ``clients`` on are the newcomers'."""

    config: ShardOptions
    dataset: Dataset
    parts: tuple[Rows, ...]
    public: PublicTexts | None = None
    """Unlabelled texts of everybody, under a protocol that needs them."""
    topped_up: int = 0
    """Clients whose draw left them without an example: they have one of the largest client's."""
    tests: tuple[Rows, ...] | None = None
    """Rows that each client is tested on and that are nobody's to train on, by partition; None
    where all are tested on the common test split."""

    @property
    def smallest_shard(self) -> int:
        """Examples of the smallest client that takes part; of sites what the options say of it."""
        known: int | None = getattr(self.config, "smallest_site", None)
        return known or min(len(part) for part in self.parts[: self.config.clients])

    def shard(self, partition_id: int) -> Shard:
        """The private shard of one client.

        Raises:
            ConfigError: there is no such partition.
        """
        if not 0 <= partition_id < len(self.parts):
            raise ConfigError(
                f"there is no partition {partition_id}: --clients and --newcomers make "
                f"{len(self.parts)}"
            )
        rng = generator(self.config.run_seed, "validation", 0, partition_id)
        share = self.config.validation_share
        poisoned = partition_id < self.config.poisoned_clients
        table = self._flipped if poisoned else self.dataset.table
        return make_shard(table, self.parts[partition_id], share, rng)

    @functools.cached_property
    def _flipped(self) -> TokenTable:
        """The same texts with flipped labels."""
        return flip_labels(self.dataset.table, self.dataset.labels)

    def test_rows(self, partition_id: int | None = None) -> Rows:
        """Test rows for newcomers and studies (None), or for a participating client.

        Participants use a fixed subset, which every participant shares; where each client is
        tested on its own texts, these.
        """
        if self.tests is not None:
            return np.zeros(0, np.int64) if partition_id is None else self.tests[partition_id]
        whole, shared = self._test_rows
        newcomer = partition_id is None or partition_id >= self.config.clients
        return whole if newcomer else shared

    @functools.cached_property
    def _test_rows(self) -> tuple[Rows, Rows]:
        whole = subset(self.dataset, self.dataset.test, self.config.test_examples)
        return whole, subset(self.dataset, whole, self.config.participants_test_examples)

    def test_counts(self, partition_id: int | None = None) -> list[int]:
        """Test examples of each class; see :meth:`test_rows`."""
        labels = self.dataset.table.labels[self.test_rows(partition_id)]
        return [int(count) for count in np.bincount(labels, minlength=self.dataset.labels)]

    def label_counts(self) -> list[list[int]]:
        """Examples of each class by partition."""
        return label_counts(self.dataset.table.labels, self.parts, self.dataset.labels)


def subset(dataset: Dataset, rows: Rows, size: int | None) -> Rows:
    """A fixed subset with the same class shares, whatever the run's seed.

    Args:
        dataset: has the labels.
        rows: the rows to choose from.
        size: rows to keep, about; all of them when None or larger.
    """
    if size is None or size >= len(rows):
        return rows
    rng = generator(0, "test-subset", size)
    labels = dataset.table.labels[rows]
    chosen = [
        rng.permutation(rows[labels == number])[: max(1, round(size * count / len(rows)))]
        for number, count in zip(*np.unique(labels, return_counts=True), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def open_dataset(config: DataOptions, progress: Progress | None = None) -> Dataset:
    """Open the data set of a run, tokenised for its model.

    Raises:
        DataError: the data cannot be read or split.
        ConfigError: the model cannot be found, takes no texts of that length, or has fewer words
            than its tokenizer.
    """
    length = config.length
    longest = max_tokens(config.model)
    if length > longest:
        raise ConfigError(
            f"{config.model} takes texts of at most {longest} tokens, not {length}: lower "
            "max_length in a --recipe file, and --max-length where it is given"
        )
    is_registered = config.model in REGISTRY  # its tokenizer is its own: not looked at
    if not is_registered:
        refuse_tokenizer(config.model)
    source = open_source(config.data, config.wanted)
    tokenizer = tokenizer_file(config.model)
    dataset = load_dataset(source, tokenizer, length, progress, SplitRules(config.drop_rare))
    if not is_registered:
        _refuse_foreign_tokenizer(config.model, dataset.table)
    return dataset


def _refuse_foreign_tokenizer(model: str, table: TokenTable) -> None:
    """Raise a ConfigError for tokens that a published model has no words for, or for too few."""
    words = vocabulary(model)
    largest = int(table.tokens.max(initial=0))
    if words is not None and largest >= words:
        raise ConfigError(
            f"the tokenizer of {model} makes token {largest} of these texts, and its "
            f"config.json says vocab_size {words}: give a folder whose parts belong together"
        )
    unknown, most = unknown_share(model, len(table.tokens), len(table.labels))
    if unknown is not None and np.count_nonzero(table.tokens == unknown) > most:
        raise ConfigError(
            f"the tokenizer of {model} knows fewer than half of the words of these texts: give a "
            "model of their language, and the tokenizer that belongs to it"
        )


@functools.lru_cache(maxsize=2)
def open_federated_dataset(config: ShardOptions) -> FederatedDataset:
    """Open the data set and partition it, once for each process.

    Raises:
        DataError: the data cannot be read, split or partitioned.
    """
    return partition_dataset(config, open_dataset(config))


def partition_dataset(config: ShardOptions, dataset: Dataset) -> FederatedDataset:
    """Partition an open data set among clients.

    Raises:
        DataError: more clients than the data can serve, or public texts that cannot be used.
    """
    public, rows = None, dataset.train
    if config.public_texts is not None:
        tokenizer = tokenizer_file(config.model)
        public, rows = open_public(config.public_texts, dataset, tokenizer, config.length)
    rng, clients = generator(config.run_seed, "partition"), config.clients + config.newcomers
    if config.partition == NATURAL:
        split = natural_partition(dataset, rows, clients, rng)
    else:
        split = partition(
            dataset.table.labels, rows, clients, config.partition, rng, alpha=config.alpha,
            shards_per_client=config.shards_per_client, minimum=1,
        )  # fmt: skip
    return FederatedDataset(config, dataset, split.parts, public, split.topped_up)
