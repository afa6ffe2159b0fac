"""What every protocol must do: one suite, inherited by a class for each protocol.

A subclass names the protocol and its options, says what one client's contribution alone makes of
the server (:meth:`ProtocolContract.check_identity`), and which further contributions are poison.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.errors import WireError
from fedseed.protocols import find_protocol, protocol_names
from fedseed.protocols.base import ClientTask, ProtocolServer
from fedseed.randomness import generator
from fedseed.runs.plan import Plan, make_plan

RECIPE = """optimiser = "adamw"
learning_rate = 1e-3
embedding_multiplier = 10.0
steps = 2
batch_size = 8
max_length = 16
"""


@dataclass
class World:
    """A plan and its clients, without Flower."""

    plan: Plan
    memories: dict[int, dict[str, bytes]] = field(default_factory=dict)

    def contribution(self, pid: int, number: int, payload: bytes) -> bytes:
        """What a client answers in a round."""
        config = self.plan.config
        client = find_protocol(config.protocol).make_client(
            config.options, public=self.plan.federated.public
        )
        memory = self.memories.setdefault(pid, {})
        rng = generator(0, "train", number, pid)
        task = ClientTask(payload, self.plan.federated.shard(pid), memory, rng)
        contribution: bytes = client.contribute(task)
        return contribution

    def round(self, server: ProtocolServer, number: int, cohort: list[int]) -> dict[int, bytes]:
        """All clients' answers."""
        payloads = server.configure(number, cohort)
        return {pid: self.contribution(pid, number, payloads[pid]) for pid in cohort}


class ProtocolContract:
    """Inherit, and set :attr:`protocol`."""

    protocol: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def world(self, small: dict[str, Any], tmp_path: Any) -> World:
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(RECIPE)
        options = small | {"recipe": str(recipe), "protocol": self.protocol} | dict(self.options)
        return World(make_plan(RunConfig.parse(options)))

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        """Assert that the server's state is that of its only client."""
        raise NotImplementedError

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        """Contributions that must be rejected, by name, made of an honest one."""
        del world, contribution
        return {}

    def test_is_registered(self) -> None:
        assert self.protocol in protocol_names()
        assert find_protocol(self.protocol).name == self.protocol

    def test_two_rounds_are_taken_and_repeat_to_the_bit(self, world: World) -> None:
        again = World(world.plan)
        servers = world.plan.server(), again.plan.server()
        for number in (1, 2):
            first = world.round(servers[0], number, [0, 1, 2])
            assert first == again.round(servers[1], number, [0, 1, 2])
            for server in servers:
                reports = server.aggregate(number, first)
                assert {report.status for report in reports.values()} == {"ok"}
        assert servers[0].products() == servers[1].products()

    def test_order_does_not_matter(self, world: World) -> None:
        server, other = world.plan.server(), world.plan.server()
        found = world.round(server, 1, [0, 1, 2])
        server.aggregate(1, found)
        other.configure(1, [0, 1, 2])
        other.aggregate(1, dict(reversed(found.items())))
        assert server.products() == other.products()
        assert server.configure(2, [0, 1, 2]) == other.configure(2, [0, 1, 2])

    def test_one_client_is_the_identity(self, world: World) -> None:
        server = world.plan.server()
        found = world.round(server, 1, [1])
        server.aggregate(1, found)
        self.check_identity(world, server, found[1])

    def test_a_lost_client_is_sent_the_seed_again(self, world: World) -> None:
        server = world.plan.server()
        found = world.round(server, 1, [0, 1, 2])
        reports = server.aggregate(1, {pid: found[pid] for pid in (0, 2)})
        assert sorted(reports) == [0, 2]
        later = server.configure(2, [0, 1, 2])
        seed = world.plan.encoded_seed
        assert [seed in later[pid] for pid in (0, 1, 2)] == [False, True, False]
        world.memories[1] = {}
        assert server.aggregate(2, {1: world.contribution(1, 2, later[1])})[1].status == "ok"

    def test_a_round_without_replies_changes_nothing(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0]))
        before = server.products()
        server.configure(2, [0])
        assert server.aggregate(2, {}) == {}
        assert server.products() == before

    def test_poison_is_rejected_and_leaves_no_trace(self, world: World) -> None:
        clean, poisoned = world.plan.server(), world.plan.server()
        found = world.round(clean, 1, [0, 1])
        poisoned.configure(1, [0, 1])
        clean.aggregate(1, {0: found[0]})
        bad = {"empty": b"", "cut": found[1][:-1], "head only": found[1][:4]}
        bad |= self.poison(world, found[1])
        # The last round of these has the honest contribution beside the poison.
        for name, payload in bad.items():
            server = world.plan.server()
            server.configure(1, [0, 1])
            reports = server.aggregate(1, {0: found[0], 1: payload})
            assert (reports[0].status, reports[1].status) == ("ok", "rejected"), name
            assert reports[1].reason
            assert server.products() == clean.products(), name
            server.describe_contribution(payload)

    def test_noise_never_raises(self, world: World) -> None:
        server = world.plan.server()
        honest = world.round(server, 1, [0])[0]
        rng = np.random.default_rng(3)
        for _ in range(20):
            noise = bytearray(honest)
            for place in rng.integers(0, len(noise), 6):
                noise[place] = int(rng.integers(256))
            other = world.plan.server()
            other.configure(1, [0])
            other.aggregate(1, {0: bytes(noise)})
            other.describe_contribution(bytes(noise))
            other.aggregate(1, {0: rng.bytes(200)})

    def test_a_cut_request_is_refused(self, world: World) -> None:
        payload = world.plan.server().configure(1, [0])[0]
        for cut in (0, 3, len(payload) // 3):
            with pytest.raises(WireError):
                world.contribution(0, 1, payload[:cut])

    def test_a_run_can_be_taken_up(self, world: World) -> None:
        whole, resumed = world.plan.server(), world.plan.server()
        first = world.round(whole, 1, [0, 1, 2])
        whole.aggregate(1, first)
        checkpoint = whole.checkpoint()
        if checkpoint is None:
            resumed.configure(1, [0, 1, 2])
            resumed.aggregate(1, first)
        else:
            resumed.restore(checkpoint)
            for bad in (b"", checkpoint[:3], checkpoint[:-1]):
                with pytest.raises(WireError):
                    world.plan.server().restore(bad)
        assert resumed.configure(2, [0, 1, 2]) == whole.configure(2, [0, 1, 2])
        assert resumed.products() == whole.products()

    def test_no_text_and_no_label_list_travels(self, world: World) -> None:
        server = world.plan.server()
        contribution = world.round(server, 1, [0])[0]
        shard = world.plan.federated.shard(0)
        table, rows = shard.table, shard.whole()
        for dtype in ("<u2", "<u4", "<i8"):
            for row in rows:
                text = table.tokens[table.offsets[row] : table.offsets[row + 1]]
                assert text.astype(dtype).tobytes() not in contribution
        for dtype in ("u1", "<u4", "<i8"):
            assert table.labels[rows].astype(dtype).tobytes() not in contribution

    def test_a_newcomer_grows_a_model(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0, 1, 2]))
        federated = world.plan.federated
        client = find_protocol(self.protocol).make_client(
            world.plan.config.options, public=federated.public
        )
        for product in server.products().values():
            rng = generator(0, "evaluate", 0, 3)
            model, length = client.grow(ClientTask(product, federated.shard(3), {}, rng))
            assert length == 16
            found = client.trainer.predict(
                model, federated.dataset.table, federated.test_rows(), length
            )
            assert found.shape == (60, 2)
            assert np.isfinite(found).all()

    def test_files_summary_and_estimate(self, world: World) -> None:
        server = world.plan.server()
        found = world.round(server, 1, [0, 1, 2])
        server.aggregate(1, found)
        assert "recipe.toml" in server.files()
        for product in server.products():
            assert "recipe" in server.summary(product)
        estimate = server.payload_estimate()
        assert set(estimate) == {"down_first", "down_later", "up"}
        assert max(map(len, found.values())) <= 1.1 * estimate["up"] + 100
