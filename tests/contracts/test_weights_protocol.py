"""The weights protocol: the contract under every codec, averaging, poison, checkpoints."""

import struct
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from fedseed.coding.codecs import make_codec
from fedseed.errors import WireError
from fedseed.protocols.base import ClientTask, ProtocolServer
from fedseed.protocols.fedavg import FedAvg
from fedseed.protocols.shared_model import HEAD_BYTES, flat_weights
from fedseed.protocols.weights import WeightsOptions
from fedseed.protocols.weights.client import WeightsClient
from fedseed.randomness import generator
from fedseed.seeds.assemble import grow
from fedseed.training import FitJob, Trainer
from tests.contracts.protocol_contract import ProtocolContract, World

SIZE = 4_386_178


def trained(world: World, pid: int) -> np.ndarray:
    """A client's weights after round 1."""
    shard = world.plan.federated.shard(pid)
    model = grow(world.plan.encoded_seed)
    recipe = world.plan.given.replace(steps=world.plan.config.steps)
    rng = generator(0, "train", 1, pid)
    Trainer().fit(FitJob(model, shard.table, shard.whole(), recipe, rng))
    return flat_weights(model)


def aggregated(world: World, server: ProtocolServer) -> np.ndarray:
    """The weights that a newcomer gets."""
    shard, rng = world.plan.federated.shard(3), generator(0, "evaluate", 0, 3)
    client = WeightsClient(WeightsOptions())
    model, _ = client.grow(ClientTask(server.products()["aggregated"], shard, {}, rng))
    return flat_weights(model)


class TestWeights(ProtocolContract):
    protocol = "weights"

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert np.array_equal(aggregated(world, server), trained(world, 1))
        assert np.array_equal(
            np.frombuffer(contribution[HEAD_BYTES:], "<f4"), aggregated(world, server)
        )
        assert len(contribution) == HEAD_BYTES + 4 * SIZE

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        def changed(place: int, value: float) -> bytes:
            weights = np.frombuffer(contribution[HEAD_BYTES:], "<f4").copy()
            weights[place] = value
            return contribution[:HEAD_BYTES] + weights.tobytes()

        head = struct.unpack_from("<IIf", contribution)
        body = contribution[HEAD_BYTES:]
        return {
            "nan": changed(5, np.nan),
            "infinity": changed(-1, -np.inf),
            "huge": changed(0, 1e30),
            "long": contribution + bytes(4),
            "no examples": struct.pack("<IIf", 0, *head[1:]) + body,
            "many examples": struct.pack("<IIf", 2**32 - 1, *head[1:]) + body,
            "more steps than asked for": struct.pack("<IIf", head[0], 4, head[2]) + body,
        }

    def test_weights_of_another_model(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0]))
        payload = server.configure(2, [0])[0]
        with pytest.raises(WireError):
            world.contribution(0, 2, payload[:-8])


class TestHalf(TestWeights):
    options: ClassVar[Mapping[str, Any]] = {"codec": "fp16"}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert len(contribution) == HEAD_BYTES + 2 * SIZE
        assert np.allclose(aggregated(world, server), trained(world, 1), rtol=1e-3, atol=1e-6)

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        nan = np.full(SIZE, np.nan, "<f2").tobytes()
        return {"nan": contribution[:HEAD_BYTES] + nan, "long": contribution + bytes(2)}


class TestInt8(TestWeights):
    options: ClassVar[Mapping[str, Any]] = {"codec": "int8"}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        start, wanted = flat_weights(grow(world.plan.encoded_seed)), trained(world, 1)
        change = wanted - start
        # Two roundings: the client's, and the server's on the way down.
        assert np.abs(aggregated(world, server) - wanted).max() <= 1.01 * np.abs(change).max() / 127
        assert len(contribution) < SIZE / 4

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        steps = np.full(41, np.nan, "<f4").tobytes()
        huge = np.full(41, 1e30, "<f4").tobytes()
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        return {
            "nan": head + steps + body[len(steps) :],
            "huge": head + huge + body[len(steps) :],
            "no frequencies": head + body[: len(steps)] + bytes(510) + body[len(steps) + 510 :],
        }


def test_int8_changes_are_bounded_as_a_whole() -> None:
    """A step that alone can be believed, times what it is multiplied by, need not be."""
    codec = make_codec("int8", 1.0)
    vector = np.full(600, 127.0 * 9_000, dtype=np.float32)
    with pytest.raises(WireError):
        codec.decode(codec.encode(vector, [600]), [600])


class TestTopK(TestInt8):
    options: ClassVar[Mapping[str, Any]] = {"codec": "topk", "keep": 0.001}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        start = flat_weights(grow(world.plan.encoded_seed))
        found, wanted = aggregated(world, server) - start, trained(world, 1) - start
        kept = found != 0
        assert kept.sum() <= 0.001 * SIZE + 1
        assert np.abs(wanted[~kept]).max() <= np.abs(wanted[kept]).min() * 1.01
        assert np.allclose(found[kept], wanted[kept], rtol=2e-3, atol=1e-6)
        assert len(contribution) < SIZE / 100

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        count, share = struct.unpack_from("<If", body)
        many = struct.pack("<If", count + 1, share)
        values = np.full(count, np.nan, "<f2").tobytes()
        return {
            "another count": head + many + body[8:],
            "a huge count": head + struct.pack("<If", 2**32 - 1, share) + body[8:],
            "nan": head + body[:8] + values + body[8 + len(values) :],
        }


@pytest.mark.parametrize("codec", ["int8", "topk"])
def test_what_a_codec_loses_is_sent_later(codec: str) -> None:
    """Error feedback: over many rounds the sum that arrives is the sum that was meant."""
    coder, sizes = make_codec(codec, 0.05), [300, 700]
    rng = np.random.default_rng(1)
    residual = np.zeros(1000, np.float32)
    meant, arrived = np.zeros(1000), np.zeros(1000)
    for _ in range(60):
        change = rng.normal(0.1, 1.0, 1000).astype(np.float32)
        meant += change
        coded = coder.encode(change + residual, sizes)
        found = coder.decode(coded, sizes)
        residual = change + residual - found
        arrived += found
    assert np.allclose(meant - arrived, residual, atol=1e-2)
    assert np.abs(residual).max() < (0.2 if codec == "int8" else 30)


def test_the_mean_is_in_proportion_to_examples() -> None:
    mean = FedAvg()
    mean.add(np.array([1, 2], np.float32), 10)
    mean.add(np.array([5, 0], np.float32), 30)
    assert np.allclose(mean.finish(np.zeros(2, np.float32), 1), [4, 0.5])
    assert np.array_equal(mean.finish(np.full(2, 7, np.float32), 2), [7, 7])
