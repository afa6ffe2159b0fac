"""The lexicon protocol: the contract, what rounds add, bounds, and hostile bytes."""

import dataclasses
import struct
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from fedseed.errors import WireError
from fedseed.evaluation.metrics import count_correct
from fedseed.linear.counts import mean_counts
from fedseed.linear.lexicon import as_model
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.lexicon.messages import Asked, decode_words
from fedseed.protocols.shared_model import HEAD_BYTES
from fedseed.seeds.codec import decode, encode
from fedseed.seeds.kinds.lexicon.coding import decode_lexicon, encode_lexicon
from fedseed.seeds.kinds.lexicon.format import read_lexicon
from fedseed.seeds.kinds.lexicon.words import Lexicon
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Trainer
from tests.contracts.protocol_contract import ProtocolContract, World


def huge(lexicon: Lexicon) -> bytes:
    """A lexicon of absurd weights."""
    return encode_lexicon(
        Lexicon(
            lexicon.tokens, np.clip(lexicon.levels * 40, -127, 127), 50_000.0, 0.75, lexicon.biases
        )
    )


class TestLexicon(ProtocolContract):
    protocol = "lexicon"
    options: ClassVar[Mapping[str, Any]] = {"words": 40}
    words, levels = 40, 2

    def sent(self, contribution: bytes) -> Lexicon:
        return decode_lexicon(contribution[HEAD_BYTES:], 1)

    def seed(self, server: ProtocolServer) -> bytes:
        return server.files()["lexicon.fseed"]

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        sent = self.sent(contribution)
        made, *_ = read_lexicon(decode(self.seed(server)).payload)
        assert len(sent.tokens) <= self.words
        assert int(np.abs(sent.levels).max()) <= self.levels
        assert set(made.tokens) <= set(sent.tokens)
        model, own = as_model(made), as_model(sent)
        counts = mean_counts(world.plan.federated.dataset.table, np.arange(200), 16)
        assert np.corrcoef(model.scores(counts)[:, 0], own.scores(counts)[:, 0])[0, 1] > 0.98

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        sent = self.sent(contribution)
        more = np.setdiff1d(np.arange(2000, 2000 + self.words + 1), sent.tokens)
        tokens = np.concatenate([sent.tokens, more])
        order = np.argsort(tokens)
        levels = np.concatenate([sent.levels, np.ones((len(more), 1), np.int32)])
        many = Lexicon(tokens[order], levels[order], sent.step, sent.exponent, sent.biases)
        return {
            "long": contribution + bytes(4),
            "other header": head + b"\xff" + body[1:],
            "no step": head + body[:4] + b"\x00\x00" + body[6:],
            "nan": head + body[:4] + b"\xff\x7f" + body[6:],
            "huge": head + huge(sent),
            "more words than asked for": head + encode_lexicon(many),
            "steps": struct.pack("<II", 60, 99) + contribution[8:],
        }

    def test_downloads_that_make_no_sense(self, world: World) -> None:
        payload = world.plan.server().configure(1, [0])[0]
        asked = Asked(self.words, self.levels).encode()
        assert payload.endswith(asked)
        start = payload[: -len(asked)]
        for bad in (b"", asked[:2], b"\x00\x00\x01", b"\xff\xff\x01", b"\x01\x00\x00"):
            with pytest.raises(WireError):
                world.contribution(0, 1, start + bad)

    def test_every_round_adds_what_was_left_out(self, world: World) -> None:
        """The server comes closer to the mean of the clients' own models."""
        server, sizes, errors = world.plan.server(), [], []
        table, rows = world.plan.federated.dataset.table, world.plan.federated.test_rows()
        counts = mean_counts(table, rows, 16)
        for number in (1, 2, 3):
            found = world.round(server, number, [0, 1, 2])
            sizes.append({pid: len(body) for pid, body in found.items()})
            server.aggregate(number, found)
            made, *_ = read_lexicon(decode(self.seed(server)).payload)
            right = as_model(made).answers(counts) == table.labels[rows]
            errors.append(1 - right.mean())
        assert errors[-1] <= errors[0]
        assert errors[-1] < 0.1
        sent = [decode_words(world.memories[0]["lexicon"][4 : 4 + sizes[0][0] - HEAD_BYTES], 2)]
        assert sent[0].weights.any()

    def test_the_grown_model_is_the_servers_lexicon(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0, 1, 2]))
        federated = world.plan.federated
        table, rows = federated.dataset.table, federated.test_rows()
        made, *_ = read_lexicon(decode(self.seed(server)).payload)
        linear = as_model(made).answers(mean_counts(table, rows, 16))
        model = server.model()
        assert model is not None
        predicted = Trainer().predict(model, table, rows, 16)
        assert (predicted.argmax(axis=1) == linear).mean() > 0.95
        counted = count_correct(predicted, table.labels[rows])
        assert sum(counted.correct) / sum(counted.examples) > 0.85

    def test_absurd_words_within_all_bounds_end_no_run(self, world: World) -> None:
        """One client claims most examples, and sends what no seed can hold."""
        server = world.plan.server()
        found = world.round(server, 1, [0, 1, 2])
        sent = self.sent(found[1])
        head = struct.pack("<IIf", 10_000_000, 0, 0.0)
        for number, changes in enumerate(
            ({"biases": np.array([49_000.0])}, {"step": 3e-7, "exponent": 0.0}), 1
        ):
            hostile = head + encode_lexicon(dataclasses.replace(sent, **changes))
            for _ in range(3):
                reports = server.aggregate(number, found | {1: hostile})
            assert {report.status for report in reports.values()} == {"ok"}
            assert server.model() is not None

    def test_the_seed_is_as_small_as_asked(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0, 1, 2]))
        assert len(self.seed(server)) <= server.setup.options.seed_bytes  # type: ignore[attr-defined]

    def test_a_product_of_another_seed_is_refused(self, world: World) -> None:
        from fedseed.protocols import find_protocol
        from fedseed.protocols.base import ClientTask
        from fedseed.randomness import generator

        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0, 1]))
        product, seed = server.products()["aggregated"], self.seed(server)
        client = find_protocol("lexicon").make_client(world.plan.config.options)
        other = encode(random_seed("bert-mini", 2, 1, "bert"))
        for bad in (other, seed[:-1], b"seed"):
            hostile = product.replace(seed, bad)
            assert hostile != product
            task = ClientTask(hostile, world.plan.federated.shard(3), {}, generator(0, "x"))
            with pytest.raises(WireError):
                client.grow(task)


def test_a_seed_that_is_too_short(small: dict[str, Any]) -> None:
    from fedseed.config import RunConfig
    from fedseed.errors import ConfigError
    from fedseed.runs.plan import make_plan

    options = small | {"protocol": "lexicon", "seed_bytes": 60}
    with pytest.raises(ConfigError, match="--seed-bytes 60: a lexicon of 2 classes takes at least"):
        make_plan(RunConfig.parse(options)).server()


@pytest.mark.parametrize(("bits", "least", "most"), [(1, 1, 1), (3, 3, 4), (8, 65, 127)])
def test_every_number_of_bits(small: dict[str, Any], bits: int, least: int, most: int) -> None:
    from fedseed.config import RunConfig
    from fedseed.runs.plan import make_plan

    options = small | {"protocol": "lexicon", "words": 40, "weight_bits": bits}
    world = World(make_plan(RunConfig.parse(options)))
    server = world.plan.server()
    found = world.round(server, 1, [0])
    assert server.aggregate(1, found)[0].status == "ok"
    levels = decode_lexicon(found[0][HEAD_BYTES:], 1).levels
    assert least <= int(np.abs(levels).max()) <= most
    assert len(server.files()["lexicon.fseed"]) <= 2000


def test_clients_of_uneven_classes_say_less() -> None:
    from scipy.sparse import csr_matrix

    from fedseed.linear.selection import LabelledCounts
    from fedseed.protocols.lexicon.logistic import evenness as measured

    def evenness(*sizes: int) -> float:
        labels = np.repeat(np.arange(len(sizes)), sizes)
        return measured(LabelledCounts(csr_matrix((len(labels), 3)), labels, len(sizes)))

    assert evenness(5, 5) == evenness(4, 4, 4) == 1.0
    assert evenness(10, 0) == evenness(0, 7, 0) == 0.0
    assert evenness(90, 10) == pytest.approx((4 * 0.09) ** 2)
    assert evenness(6, 6, 0) == pytest.approx(0.75**2)
