"""The coordinates protocol: the contract, what a round adds up to, and the seed that it makes."""

import struct
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from fedseed.config import RunConfig
from fedseed.errors import SeedError, WireError
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.coordinates.client import MovedModel
from fedseed.protocols.coordinates.messages import decode_state
from fedseed.protocols.coordinates.server import CoordinatesServer
from fedseed.protocols.shared_model import HEAD_BYTES, flat_weights
from fedseed.runs.plan import make_plan
from fedseed.seeds.assemble import grow, shapes_of
from fedseed.seeds.base import key_of
from fedseed.seeds.codec import decode, describe, encode
from fedseed.seeds.kinds.coordinates.space import Space
from fedseed.seeds.kinds.random import random_seed
from tests.contracts.protocol_contract import ProtocolContract, World

START = encode(random_seed("bert-tiny", 2, 7, "scaled"))
RANK = 4
SIZE = 13 * RANK**2 + 2 * 128 + 2


class TestCoordinates(ProtocolContract):
    protocol = "coordinates"
    options: ClassVar[Mapping[str, Any]] = {"rank": RANK}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert isinstance(server, CoordinatesServer)
        change = server.decode(contribution[HEAD_BYTES:])
        assert change.shape == (SIZE,)
        assert len(contribution) < SIZE / 2 + 200
        assert server._vector is not None
        assert np.array_equal(server._vector, change)
        seed, start = server.seed(), world.plan.encoded_seed
        assert seed is not None
        assert server.files()["coordinates.fseed"] == seed
        model = MovedModel(start, server._space, change)
        ids, lengths = torch.arange(24).view(3, 8), torch.tensor([8, 5, 2])
        with torch.no_grad():
            found = grow(seed)(ids, lengths)
            assert torch.allclose(found, model(ids, lengths), atol=2e-2)
            assert not torch.allclose(found, grow(start)(ids, lengths), atol=5e-3)

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        steps, tensors = 4 * 15, 13 + 2
        assert steps == 4 * tensors
        return {
            "nan": head + np.full(tensors, np.nan, "<f4").tobytes() + body[steps:],
            "huge": head + np.full(tensors, 1e30, "<f4").tobytes() + body[steps:],
            "no frequencies": head + body[:steps] + bytes(14) + body[steps + 14 :],
            "long": contribution + bytes(4),
        }

    def test_what_no_client_can_read_is_refused(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0]))
        payload = server.configure(2, [0])[0]
        place = payload.rindex(server.state())  # type: ignore[attr-defined]
        state = payload[place:]
        for bad in (
            b"", state[:2], state[:-4], struct.pack("<HB", 0, 5), struct.pack("<HB", 257, 5),
            struct.pack("<HB", RANK, 0), struct.pack("<HB", RANK, 9),
        ):  # fmt: skip
            with pytest.raises(WireError):
                world.contribution(0, 2, payload[:place] + bad)


class TestInEightBits(TestCoordinates):
    options: ClassVar[Mapping[str, Any]] = {"rank": RANK, "codec": "int8"}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert isinstance(server, CoordinatesServer)
        assert server.decode(contribution[HEAD_BYTES:]).shape == (SIZE,)

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        return {"long": contribution + bytes(4)}


def test_numbers_survive_model_and_vector() -> None:
    space = Space.of(shapes_of(START), RANK)
    assert space.parts.size == SIZE
    vector = np.random.default_rng(1).normal(0, 0.1, SIZE).astype(np.float32)
    model = MovedModel(START, space, vector)
    assert np.allclose(model.vector(), vector, atol=1e-6)
    trained = {name for name, part in model.named_parameters() if part.requires_grad}
    assert len(trained) == 13 + 2


def test_the_mean_of_vectors_is_that_of_models() -> None:
    space, grown = Space.of(shapes_of(START), RANK), grow(START)
    state = {name: part.detach().numpy() for name, part in grown.named_parameters()}
    rng = np.random.default_rng(2)
    pair = [rng.normal(0, 0.1, SIZE).astype(np.float32) for _ in range(2)]
    moved = [space.moved(state, vector, key_of(START)) for vector in [*pair, sum(pair) / 2]]
    for name, part in moved[2].items():
        assert np.allclose(part, (moved[0][name] + moved[1][name]) / 2, atol=1e-6), name
    unmoved = space.moved(state, space.start(), key_of(START))
    assert all(np.array_equal(part, state[name]) for name, part in unmoved.items())


def test_a_run_can_begin_from_its_seed_but_not_go_on(small: dict[str, Any], tmp_path: Any) -> None:
    server = make_plan(RunConfig.parse(small | {"protocol": "coordinates"})).server()
    assert isinstance(server, CoordinatesServer)
    assert server.seed() is None
    server._vector = server.start() + np.float32(0.01)
    seed = server.seed()
    assert seed is not None
    about = describe(decode(seed))
    assert about["kind"] == "coordinates"
    assert (about["start"], about["rank"]) == ("random", 16)
    path = tmp_path / "a.fseed"
    path.write_bytes(seed)
    other = small | {"seed_file": str(path)}
    plan = make_plan(RunConfig.parse(other | {"protocol": "weights"}))
    assert np.array_equal(flat_weights(grow(plan.encoded_seed)), flat_weights(server.model()))
    with pytest.raises(SeedError, match="another kind"):
        make_plan(RunConfig.parse(other | {"protocol": "coordinates"})).server()


def test_states_are_read_as_written() -> None:
    with pytest.raises(WireError):
        decode_state(b"\x01")
    coded = decode_state(struct.pack("<HB", 5, 4) + b"abc")
    assert (coded.rank, coded.codec.number, coded.numbers) == (5, 4, b"abc")


def test_changes_that_lead_too_far_together_are_cut(small: dict[str, Any]) -> None:
    """Each can be believed, and is; what they add up to is still a seed that clients take."""
    server = make_plan(RunConfig.parse(small | {"protocol": "coordinates"})).server()
    assert isinstance(server, CoordinatesServer)
    change = np.full(server.size, 9_000, dtype=np.float32)
    body = server._codec.encode(change, server._space.parts.sizes)
    contribution = struct.pack("<IIf", 10_000_000, 1, 0.5) + body
    for number in (1, 2, 3):
        server.configure(number, [0])
        assert server.aggregate(number, {0: contribution})[0].status == "ok"
    assert all(part.isfinite().all() for part in server.model().parameters())
    again = make_plan(RunConfig.parse(small | {"protocol": "coordinates"})).server()
    checkpoint = server.checkpoint()
    assert checkpoint is not None
    again.restore(checkpoint)
    assert again.products() == server.products()
