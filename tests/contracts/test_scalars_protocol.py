"""The scalars protocol: the contract for all weights and for the head, directions, slopes."""

import struct
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fedseed.data.tokens import TokenTable
from fedseed.errors import ConfigError, WireError
from fedseed.models.architecture import Architecture
from fedseed.models.bert import BertClassifier
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.scalars.messages import decode_scalars, directions_of, encode_scalars
from fedseed.protocols.scalars.server import ScalarsServer
from fedseed.protocols.shared_model import HEAD_BYTES, flat_weights
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.training import Compute, FitJob, FitResult, fit, predict
from fedseed.training.zeroth_order import (
    LARGEST,
    REACH,
    Directions,
    HeadSurface,
    LossSurface,
    Scalars,
    displace,
    make_surface,
    walk,
)
from tests.contracts.protocol_contract import ProtocolContract, World

DIRECTIONS = Directions(key=7, count=8)


def sparse(places: list[int], values: list[float]) -> bytes:
    head = b"\x01" + struct.pack("<H", len(places))
    return head + np.array(places, "<u2").tobytes() + np.array(values, "<f4").tobytes()


class TestScalars(ProtocolContract):
    protocol = "scalars"
    head = False
    count = 64

    def walked(self, world: World, pid: int) -> tuple[np.ndarray, Scalars]:
        """A client's weights after round 1, and its scalars."""
        seed = world.plan.encoded_seed
        shard = world.plan.federated.shard(pid)
        recipe = world.plan.given.replace(steps=world.plan.config.steps)
        job = FitJob(grow(seed), shard.table, shard.whole(), recipe, generator(0, "train", 1, pid))
        surface = make_surface(job, self.head, Compute())
        _, scalars = walk(surface, directions_of(seed, self.count))
        return flat_weights(job.model), scalars

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        weights, scalars = self.walked(world, 1)
        model = server.model()
        assert model is not None
        assert np.allclose(flat_weights(model), weights, rtol=1e-5, atol=1e-7)
        assert not np.array_equal(weights, flat_weights(grow(world.plan.encoded_seed)))
        assert np.array_equal(decode_scalars(contribution[HEAD_BYTES:], self.count), scalars)
        assert len(contribution) <= HEAD_BYTES + 1 + 4 * self.count

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        dense = np.zeros(self.count, "<f4")
        bad = {
            "long": contribution + bytes(4),
            "another form": head + b"\x02" + body[1:],
            "too few": head + b"\x00" + dense[1:].tobytes(),
            "too many": head + b"\x00" + dense.tobytes() + bytes(4),
            "no such direction": head + sparse([self.count], [1.0]),
            "twice": head + sparse([0, 0], [1.0, 1.0]),
            "not in order": head + sparse([1, 0], [1.0, 1.0]),
            "count of another length": head + b"\x01\xff\xff" + body[3:],
            "no count": head + b"\x01\x00",
        }
        for name, value in {"nan": np.nan, "infinity": -np.inf, "huge": 1e30, "large": 101}.items():
            dense[-1] = value
            bad[name] = head + b"\x00" + dense.tobytes()
            bad[f"{name}, sparse"] = head + sparse([0], [value])
        return bad

    def test_downloads_that_make_no_sense(self, world: World) -> None:
        payload = world.plan.server().configure(1, [0])[0]
        state = struct.pack("<BH", self.head, self.count) + sparse([], [])
        assert payload.endswith(state)
        start = payload[: -len(state)]
        for bad in (
            b"", state[:2], state[:-1], b"\x02" + state[1:], state[:1] + b"\x00\x00" + state[3:],
            state[:3] + sparse([1], [np.nan]),
        ):  # fmt: skip
            with pytest.raises(WireError):
                world.contribution(0, 1, start + bad)

    def test_later_downloads_are_small(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0, 1]))
        estimate = server.payload_estimate()
        assert len(server.configure(2, [0])[0]) <= estimate["down_later"] <= 101 + 4 * self.count
        assert len(server.configure(2, [2])[2]) < 400 + 4 * self.count


class TestHead(TestScalars):
    options: ClassVar[Mapping[str, Any]] = {"trainable": "head", "perturbations": 3}
    head = True
    count = 3

    def test_only_the_head_moves(self, world: World) -> None:
        weights, _ = self.walked(world, 0)
        moved = weights != flat_weights(grow(world.plan.encoded_seed))
        assert not moved[:-258].any()
        assert moved[-258:].all()

    def test_kept_features_change_nothing(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0]))
        payload = server.configure(2, [0])[0]
        memory = world.memories[0]
        assert len(memory["features"]) == 32 + 4 * 128 * len(world.plan.federated.shard(0).whole())
        with_features = world.contribution(0, 2, payload)
        memory["features"] = b"of another seed"
        assert world.contribution(0, 2, payload) == with_features

    def test_a_model_without_a_head(self, world: World) -> None:
        setup = world.plan.server().setup  # type: ignore[attr-defined]
        other = type(setup)(**(vars(setup) | {"shapes": {"body.weight": (2, 3)}}))
        with pytest.raises(ConfigError, match="--trainable"):
            ScalarsServer(other)


def table(texts: int = 96) -> TokenTable:
    """Texts of two classes, told apart by one of their five tokens."""
    rng = generator(0, "texts")
    labels = np.arange(texts) % 2
    tokens = rng.integers(10, 40, (texts, 5))
    tokens[:, 2] = np.where(labels == 1, 8, 9)
    return TokenTable(tokens.reshape(-1).astype(np.uint16), np.arange(texts + 1) * 5, labels)


def small_model() -> BertClassifier:
    model = BertClassifier(Architecture("tiny", 1, 16, 2, 32, vocabulary=40, positions=8))
    rng = generator(0, "weights")
    for part in model.parameters():
        values = torch.from_numpy(rng.normal(0, 0.3, part.shape).astype(np.float32))
        part.data = values if part.ndim > 1 else values + 0.5
    return model


def job(model: nn.Module, known: TokenTable, **changes: Any) -> FitJob:
    recipe = Recipe(max_length=8, batch_size=16, **changes)
    return FitJob(model, known, np.arange(len(known.labels)), recipe, generator(0, "train"))


def trained(known: TokenTable, head: bool, **changes: Any) -> tuple[nn.Module, FitResult, Scalars]:
    model = small_model()
    result, scalars = walk(
        make_surface(job(model, known, **changes), head, Compute()), DIRECTIONS
    )  # fmt: skip
    return model, result, scalars


def test_the_first_bits_of_a_direction_are_a_promise() -> None:
    packed = Directions(key=0x0123456789ABCDEF, count=2).packed(1, 130)
    assert packed.tobytes().hex() == "d20e37dd3f9cf60d8f9e5f400d12c46c6ebd21b12518316a"
    signs = Directions(key=0x0123456789ABCDEF, count=2).signs(1, 130)
    assert signs.shape == (130,)
    assert np.array_equal(signs > 0, np.unpackbits(packed, bitorder="little")[:130] == 1)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    longer = Directions(key=0x0123456789ABCDEF, count=2).signs(1, 200_000)
    assert np.array_equal(longer[:130], signs)
    assert abs(longer.mean()) < 0.01


def test_directions_differ_by_key_and_number() -> None:
    found = [Directions(key, 3).packed(k, 640).tobytes() for key in (0, 1) for k in (0, 1, 2)]
    assert len(set(found)) == 6


@pytest.mark.parametrize("head", [False, True])
def test_slopes_are_those_of_automatic_differentiation(head: bool) -> None:
    known, model = table(), small_model()
    rows = np.arange(16)
    ids, lengths = known.padded(rows, 8)
    logits = model(torch.from_numpy(ids), torch.from_numpy(lengths))
    loss = functional.cross_entropy(logits, torch.from_numpy(known.labels[rows]))
    loss.backward()
    parts = list(model.classifier.parameters() if head else model.parameters())
    gradient = torch.cat([part.grad.reshape(-1) for part in parts if part.grad is not None])
    surface = make_surface(job(model, known), head, Compute())
    assert isinstance(surface, HeadSurface) == head
    assert surface.size == len(gradient)
    with torch.inference_mode():
        surface.see(rows)
        for number in range(DIRECTIONS.count):
            z = surface.direction(DIRECTIONS, number)
            assert surface.loss(z, 0.0) == pytest.approx(loss.item(), rel=1e-5)
            slope = (surface.loss(z, REACH) - surface.loss(z, -REACH)) / (2 * REACH)
            assert slope == pytest.approx(float(gradient @ z), rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("head", [False, True])
def test_scalars_rebuild_the_walked_weights(head: bool) -> None:
    model, result, scalars = trained(table(), head, steps=40, learning_rate=1e-3)
    assert (result.steps, result.diverged) == (40, False)
    rebuilt = small_model()
    displace(rebuilt, head, DIRECTIONS, scalars)
    assert np.allclose(flat_weights(rebuilt), flat_weights(model), rtol=1e-5, atol=1e-6)
    assert not np.array_equal(flat_weights(rebuilt), flat_weights(small_model()))


def test_the_head_alone_is_the_same_walk_without_features_kept() -> None:
    """The fast surface of a frozen BERT against the one that any module takes."""
    known = table()
    _, _, fast = trained(known, True, steps=10, learning_rate=1e-2)
    surface = LossSurface(job(small_model(), known, steps=10, learning_rate=1e-2), True, Compute())
    _, slow = walk(surface, DIRECTIONS)
    assert np.allclose(fast, slow, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("head", [False, True])
def test_losses_alone_teach_a_new_head(head: bool) -> None:
    """On a body that knows the task; from a random start it takes luck, or very many steps."""
    known, model = table(), small_model()
    fit(model, known, np.arange(96), Recipe(steps=60, learning_rate=1e-2), generator(0, "body"))
    with torch.no_grad():
        for part in model.classifier.parameters():
            part.zero_()
    own = job(model, known, steps=200, learning_rate=1e-2 if head else 2e-3)
    result, _ = walk(make_surface(own, head, Compute()), Directions(7, 64))
    assert result.train_loss < 0.4
    found = predict(model, known, own.rows, 8).argmax(axis=1)
    assert (found == known.labels).mean() > 0.9  # of 96 texts, 48 a class; the training texts


def test_a_head_on_a_random_body_learns_little() -> None:
    """As the protocol's page says: in a body that knows nothing there is little to find."""
    result = trained(table(), True, steps=1000, learning_rate=1e-1)[1]
    assert 0.6 < result.train_loss < 0.75  # ln 2 is 0.693


def test_a_walk_that_diverges_ends_and_stays_believable() -> None:
    # Of ten keys the first sum got there after 6 to 219 steps; which step is up to rounding.
    model, result, scalars = trained(table(), False, steps=2000, learning_rate=10.0)
    assert result.diverged
    assert result.steps < 2000
    assert np.abs(scalars).max() <= LARGEST
    assert np.isfinite(flat_weights(model)).all()


def test_soft_labels_and_smoothing() -> None:
    known = table()
    soft = TokenTable(
        known.tokens, known.offsets, known.labels, np.eye(2, dtype=np.float32)[known.labels]
    )
    changes = {"steps": 5, "learning_rate": 1e-3, "label_smoothing": 0.1}
    assert np.allclose(trained(soft, False, **changes)[2], trained(known, False, **changes)[2])


@pytest.mark.parametrize("places", [[], [0], [1, 63], list(range(50))])
def test_scalars_take_the_shorter_form(places: list[int]) -> None:
    scalars = np.zeros(64, np.float32)
    scalars[places] = np.linspace(-100, 1e-9, len(places))
    coded = encode_scalars(scalars)
    assert np.array_equal(decode_scalars(coded, 64), scalars)
    assert len(coded) == 1 + min(256, 2 + 6 * np.count_nonzero(scalars))
