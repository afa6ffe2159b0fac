"""Labels of any number of classes: more bits are never worse than fewer; hostile bytes."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedseed.config import RunConfig
from fedseed.errors import WireError
from fedseed.protocols.labels import BITS
from fedseed.protocols.labels.messages import decode_labels, encode_labels, estimated_labels
from fedseed.runs.plan import make_plan
from fedseed.training import Trainer
from tests.contracts.protocol_contract import World
from tests.topics import write_topics

Probabilities = NDArray[np.float32]
CLASSES = (2, 4, 77, 200, 255)
HEAD = 5


def answers(classes: int, sureness: float, texts: int, key: int) -> Probabilities:
    """What a model says of some texts: softmax of normal scores of a deviation."""
    scores = np.random.default_rng(key).normal(size=(texts, classes)) * sureness
    likelihoods = np.exp(scores - scores.max(axis=1, keepdims=True))
    whole = likelihoods.sum(axis=1, keepdims=True)
    return np.asarray(likelihoods / whole, dtype=np.float32)


def sent(labels: Probabilities, bits: int) -> Probabilities:
    """What comes out of the labels that travel."""
    return decode_labels(encode_labels(labels, bits), *labels.shape)


def divergence(true: Probabilities, told: Probabilities) -> float:
    """Mean Kullback-Leibler divergence, nats; a share of 0 counts as 1e-9."""
    whole, other = true.astype(np.float64), np.maximum(told.astype(np.float64), 1e-9)
    return float((whole * np.log(np.maximum(whole, 1e-30) / other)).sum(axis=1).mean())


@given(
    classes=st.sampled_from(CLASSES), sureness=st.sampled_from([0.1, 0.5, 1, 2, 4, 8]),
    key=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=60)
def test_more_bits_are_never_worse_than_fewer(classes: int, sureness: float, key: int) -> None:
    labels = answers(classes, sureness, 200, key)
    told = [sent(labels, bits) for bits in BITS]
    distances = [float(np.abs(one - labels).sum(axis=1).mean()) for one in told]
    divergences = [divergence(labels, one) for one in told]
    assert distances == sorted(distances, reverse=True)
    assert divergences == sorted(divergences, reverse=True)
    for one in told:
        likeliest = labels[np.arange(len(labels)), one.argmax(axis=1)]
        assert (likeliest >= labels.max(axis=1) - 1e-7).all()  # of equals any
        assert np.allclose(one.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("classes", [4, 77, 200])
def test_a_mean_over_clients_gets_better_with_every_bit(classes: int) -> None:
    """What the server keeps is a mean: its error must not be one that all clients share."""
    clients = [answers(classes, 1.0, 300, key) for key in range(10)]
    true = np.mean(clients, axis=0)
    means = [np.mean([sent(one, bits) for one in clients], axis=0) for bits in BITS]
    errors = [float(np.abs(mean - true).sum(axis=1).mean()) for mean in means]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.4 * errors[0]
    assert errors[2] < 0.06
    assert errors[3] < 0.006


def test_a_few_probabilities_among_many_classes() -> None:
    """A sure answer, an unsure one, and one of two classes: 2 bits are near, 1 bit is not."""
    labels = np.full((3, 77), 0.1 / 76, dtype=np.float32)
    labels[0, 5] = 0.9
    labels[1] = 0.99 / 77
    labels[1, 70] += 0.01
    labels[2, [3, 9]] = [0.5, 0.4 + 0.1 / 76]
    labels /= labels.sum(axis=1, keepdims=True)
    told = sent(labels, 2)
    assert told.argmax(axis=1).tolist() == [5, 70, 3]
    assert np.abs(told - labels).sum(axis=1).max() < 0.15
    assert np.abs(sent(labels, 4) - labels).sum(axis=1).max() < 0.05


def test_the_mean_of_one_bit_labels_goes_down_whole() -> None:
    votes = np.random.default_rng(4).integers(0, 77, size=(10, 500))
    mean = np.mean([np.eye(77, dtype=np.float32)[one] for one in votes], axis=0)
    mean = mean.astype(np.float32)
    coded = encode_labels(mean, 8)
    assert np.abs(decode_labels(coded, 500, 77) - mean).max() < 1e-5
    assert len(coded) < 500 * 77 * 8 / 8 / 4  # most shares are 0


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("bits", BITS)
def test_one_text_and_the_estimate(classes: int, bits: int) -> None:
    assert sent(answers(classes, 1.0, 1, 3), bits).shape == (1, classes)
    coded = encode_labels(answers(classes, 1.0, 400, 3), bits)
    assert len(coded) <= 1.1 * estimated_labels(400, classes, bits)


@given(data=st.binary(max_size=300), bits=st.sampled_from(BITS))
def test_hostile_soft_labels_are_refused_or_are_probabilities(data: bytes, bits: int) -> None:
    head = bytes([bits]) + (10).to_bytes(4, "little")
    _refused_or_probabilities(head + data)


@given(place=st.integers(HEAD, 400), byte=st.integers(0, 255))
def test_a_damaged_byte_is_refused_or_gives_probabilities(place: int, byte: int) -> None:
    damaged = bytearray(encode_labels(answers(77, 1.0, 10, 5), 4))
    damaged[place % len(damaged)] = byte
    _refused_or_probabilities(bytes(damaged))


def _refused_or_probabilities(data: bytes) -> None:
    try:
        found = decode_labels(data, 10, 77)
    except WireError:
        return
    assert found.shape == (10, 77)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-4)


def _with(data: bytes, place: int, other: bytes) -> bytes:
    return data[:place] + other + data[place + len(other) :]


def _impossible(coded: bytes) -> dict[str, bytes]:
    """Soft labels of four classes that nobody sends, by name, made of good ones."""
    named = int.from_bytes(coded[HEAD : HEAD + 2], "little")
    peaks = HEAD + 2 + 6 * named + 2
    return {
        "too many classes": _with(coded, HEAD, (5).to_bytes(2, "little")),
        "a class that is none": _with(coded, HEAD + 2, np.float32(7).tobytes()),
        "half a class": _with(coded, HEAD + 2, np.float32(0.5).tobytes()),
        "no frequency": _with(coded, HEAD + 6, bytes(2)),
        "a peak above 1": _with(coded, peaks, np.float32(1.5).tobytes()),
        "no peak": _with(coded, peaks, np.float32("nan").tobytes()),
        "no tables": coded[:HEAD],
        "cut": coded[:-1],
        "a word less": coded[:-4],
        "long": coded + bytes(4),
        "of more texts": _with(coded, 1, (11).to_bytes(4, "little")),
    }


GOOD = encode_labels(answers(4, 1.0, 10, 6), 2)


@pytest.mark.parametrize("name", _impossible(GOOD))
def test_impossible_soft_labels_are_refused(name: str) -> None:
    assert decode_labels(GOOD, 10, 4).shape == (10, 4)
    with pytest.raises(WireError):
        decode_labels(_impossible(GOOD)[name], 10, 4)


def test_what_is_not_finite_is_refused_by_the_server() -> None:
    labels = answers(4, 1.0, 10, 6)
    labels[3] = np.nan
    with pytest.raises(WireError, match="impossible"):
        decode_labels(encode_labels(labels, 4), 10, 4)


def test_more_bits_make_no_worse_models(small: dict[str, Any], tmp_path: Path) -> None:
    """One round on a task of 77 classes, of which clients have learnt some."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'optimiser = "adamw"\nlearning_rate = 2e-3\nembedding_multiplier = 10.0\n'
        "batch_size = 32\nmax_length = 24\n"
    )
    shared = small | {
        "data": str(write_topics(tmp_path / "topics.csv", 77, 924)), "recipe": str(recipe),
        "protocol": "labels", "public": "reviews:300", "steps": 12, "distil_steps": 80,
        "clients": 2,
    }  # fmt: skip
    found = []
    for bits in BITS:
        plan = make_plan(RunConfig.parse(shared | {"label_bits": bits}))
        world, server = World(plan), plan.server()
        server.aggregate(1, world.round(server, 1, [0, 1]))
        rows, table = plan.federated.test_rows(), plan.federated.dataset.table
        model = server.model()
        assert model is not None
        told = Trainer(plan.compute).predict(model, table, rows, plan.max_length)
        found.append(float((told.argmax(axis=1) == table.labels[rows]).mean()))
    few = 2 / len(rows)  # texts that one machine's rounding decides otherwise than another's
    assert all(more >= fewer - few for fewer, more in pairwise(found))
    assert found[1] > 10 / 77
