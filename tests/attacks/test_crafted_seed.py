"""A crafted seed counts the texts that have a word: against a real client and real reviews."""

import numpy as np
import pytest

from fedseed.attacks.crafted.crafted_seed import craft, losses, read, request
from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset
from fedseed.data.shard import Shard, make_shard
from fedseed.errors import WireError
from fedseed.models.architecture import architecture
from fedseed.protocols.base import ClientTask
from fedseed.protocols.recipe import RecipeOptions
from fedseed.protocols.recipe.client import RecipeClient
from fedseed.protocols.recipe.messages import RecipeScore, why_absurd
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.codec import decode
from fedseed.training import Compute, Trainer
from fedseed.training.precision_and_device import PRECISIONS, Precision

MAX_LENGTH = 64
TINY = architecture("bert-tiny")


@pytest.fixture(scope="module")
def shard() -> Shard:
    """300 real reviews of both classes."""
    dataset = open_dataset(RunConfig.parse({}))
    rng = generator(0, "crafted")
    return make_shard(dataset.table, rng.choice(dataset.train, 300, replace=False), 0.5, rng)


def having(shard: Shard, rows: np.ndarray, word: int) -> np.ndarray:
    """Whether each text has a word within the first tokens."""
    holding: np.ndarray = (shard.table.padded(rows, MAX_LENGTH)[0] == word).any(axis=1)
    return holding


def some_words(shard: Shard, count: int) -> list[int]:
    """Words from the most frequent of the validation texts to the rarest, and an absent one."""
    texts = shard.table.padded(shard.validation, MAX_LENGTH)[0]
    frequency = np.bincount(np.concatenate([np.unique(text) for text in texts]), minlength=30_522)
    frequency[[0, 100, 101, 102]] = -1
    order = np.argsort(-frequency, kind="stable")
    present = int((frequency > 0).sum())
    places = np.unique(np.geomspace(1, present, count).astype(int)) - 1
    return [int(order[place]) for place in places] + [int(order[present])]


def answer(shard: Shard, payload: bytes, precision: Precision = "fp32") -> bytes:
    client = RecipeClient(RecipeOptions(), trainer=Trainer(Compute(precision)))
    return client.contribute(ClientTask(payload, shard, {}, generator(0, "train")))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_counts_are_exact(shard: Shard, precision: Precision) -> None:
    """In whatever precision the client computes: the server tries both."""
    labels = shard.table.labels[shard.validation]
    words = some_words(shard, 10)
    counts = []
    for word in words:
        seed = craft([word], TINY)
        counted = read(answer(shard, request(seed, MAX_LENGTH), precision), seed, [word])
        holding = having(shard, shard.validation, word)
        true = tuple(
            (int((~holding[labels == label]).sum()), int(holding[labels == label].sum()))
            for label in (0, 1)
        )
        assert counted.validation == true, word
        assert counted.training is None
        counts.append(counted.with_word)
    assert max(counts) > 0.9 * len(labels)
    assert counts[-2:] == [1, 0]


@pytest.mark.parametrize("place", [0, 4, 8, -1])
def test_training_texts_are_counted_too(shard: Shard, place: int) -> None:
    word = some_words(shard, 10)[place]
    seed = craft([word], TINY)
    counted = read(answer(shard, request(seed, MAX_LENGTH, len(shard.train))), seed, [word])
    assert counted.training == having(shard, shard.train, word).sum()
    assert counted.with_word == having(shard, shard.validation, word).sum()


def test_any_of_some_words_and_a_deeper_model(shard: Shard) -> None:
    words = some_words(shard, 10)[5:9]
    seed = craft(words, architecture("bert-mini"))
    counted = read(answer(shard, request(seed, MAX_LENGTH)), seed, words)
    holding = [having(shard, shard.validation, word) for word in words]
    assert counted.with_word == np.any(holding, axis=0).sum()


def test_the_request_looks_like_any_other(shard: Shard) -> None:
    seed = craft([2307], TINY)
    assert decode(seed).kind == "pca"
    assert len(seed) < 2000
    score = RecipeScore.decode(answer(shard, request(seed, MAX_LENGTH)))
    assert why_absurd(score, Recipe(steps=0), 2) is None


def test_losses_do_not_repeat() -> None:
    seed = craft([2307], TINY)
    values = losses(seed, [2307])
    assert values.shape == (2, 2)
    assert (
        np.abs(np.subtract.outer(values.ravel(), values.ravel()))[~np.eye(4, dtype=bool)].min()
        > 0.1
    )
    assert values[0, 0] < values[0, 1]
    assert values[1, 1] < values[1, 0]


def test_what_cannot_be_read() -> None:
    seed = craft([2307], TINY)
    with pytest.raises(WireError, match="one score"):
        read(b"", seed, [2307])
    for score in (
        RecipeScore(False, 0, 10, 10, 5, 0.6931, 0.0),
        RecipeScore(True, 0, 10, 10, 0, float("inf"), 0.0),
        RecipeScore(False, 0, 10, 10, 11, 0.5, 0.0),
    ):
        with pytest.raises(WireError, match="crafted"):
            read(score.encode(), seed, [2307])


def test_what_cannot_be_asked() -> None:
    for words in ([], [101], [5, 102]):
        with pytest.raises(ValueError, match="at least one word"):
            craft(words, TINY)
    with pytest.raises(ValueError, match="two classes"):
        craft([5], TINY.with_labels(3))
