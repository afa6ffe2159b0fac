"""The lexicon protocol's counts: exact sums, their coding, and hostile bytes."""

import contextlib
import struct
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError
from fedseed.linear.buckets import collapse
from fedseed.linear.class_counts import ClassCounts
from fedseed.linear.counts import mean_counts, text_lengths
from fedseed.linear.lexicon import as_model
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.lexicon.count_coding import decode_counts, encode_counts
from fedseed.protocols.lexicon.counts import SummedCounts, decode_class_counts, encode_class_counts
from fedseed.protocols.lexicon.messages import Asked
from fedseed.protocols.shared_model import HEAD_BYTES
from fedseed.seeds.codec import decode
from fedseed.seeds.kinds.lexicon.format import read_lexicon
from tests.contracts.protocol_contract import ProtocolContract, World


class CountsContract(ProtocolContract):
    protocol = "lexicon"
    buckets: ClassVar[int] = 0

    def sent(self, contribution: bytes) -> ClassCounts:
        return decode_class_counts(contribution[HEAD_BYTES:], 2, self.buckets, 16)

    def of_texts(self, world: World, rows: np.ndarray) -> ClassCounts:
        table = world.plan.federated.dataset.table
        counts = collapse(mean_counts(table, rows, 16), self.buckets)
        return ClassCounts.of(counts, text_lengths(table, rows, 16), table.labels[rows], 2)

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        sent = self.sent(contribution)
        assert sent.texts.sum() == struct.unpack_from("<I", contribution)[0]
        lone = SummedCounts(2, self.buckets, 16)
        lone.take(int(sent.texts.sum()), contribution[HEAD_BYTES:])
        made, *_ = read_lexicon(decode(server.files()["lexicon.fseed"]).payload)
        again = lone.lexicon(2000)
        assert np.isin(made.tokens, again.tokens).mean() > 0.9

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        sent = self.sent(contribution)
        more = sent.present.copy()
        more[0, sent.present[0].argmax()] = sent.texts[0] + 1
        many = ClassCounts(sent.texts, sent.tokens, more)
        long = ClassCounts(sent.texts, sent.texts * 17, sent.present)
        few = ClassCounts(sent.texts, np.minimum(sent.tokens, 3), sent.present)
        return {
            "long": contribution + bytes(4),
            "no table": head + body[:16] + b"\x00" + body[17:],
            "more texts than examples": struct.pack("<I", sent.texts.sum() - 1) + contribution[4:],
            "more texts with a word than texts": head + encode_class_counts(many, self.buckets),
            "texts longer than any": head + encode_class_counts(long, self.buckets),
            "more words than tokens": head + encode_class_counts(few, self.buckets),
            "steps": contribution[:4] + struct.pack("<I", 99) + contribution[8:],
        }

    def test_the_sum_is_that_of_all_texts(self, world: World) -> None:
        """Whoever has them: the seed is made of the same whole numbers."""
        server = world.plan.server()
        found = world.round(server, 1, [0, 1, 2])
        server.aggregate(1, found)
        total = ClassCounts.none(2)
        for contribution in found.values():
            total += self.sent(contribution)
        rows = np.concatenate([world.plan.federated.shard(pid).whole() for pid in (0, 1, 2)])
        alone = self.of_texts(world, rows)
        assert np.array_equal(total.present, alone.present)
        assert np.array_equal(total.texts, alone.texts)
        assert np.array_equal(total.tokens, alone.tokens)

    def test_counts_are_sent_once(self, world: World) -> None:
        server = world.plan.server()
        first = world.round(server, 1, [0, 1])
        server.aggregate(1, first)
        seed = server.files()["lexicon.fseed"]
        second = world.round(server, 2, [0, 1])
        assert {len(body) for body in second.values()} == {HEAD_BYTES}
        assert {report.status for report in server.aggregate(2, second).values()} == {"ok"}
        assert server.files()["lexicon.fseed"] == seed

    def test_the_seed_knows(self, world: World) -> None:
        server, federated = world.plan.server(), world.plan.federated
        server.aggregate(1, world.round(server, 1, [0, 1, 2]))
        made, *_ = read_lexicon(decode(server.files()["lexicon.fseed"]).payload)
        table, rows = federated.dataset.table, federated.test_rows()
        right = as_model(made).answers(mean_counts(table, rows, 16)) == table.labels[rows]
        assert right.mean() > 0.8

    def test_other_checkpoints_are_refused(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0]))
        saved = server.save()  # type: ignore[attr-defined]
        for bad in (b"", saved[:3], saved[:-8], saved[:-8] + b"\xff" * 8, saved + bytes(8)):
            with pytest.raises(WireError):
                world.plan.server().load(bad)  # type: ignore[attr-defined]


class TestCounts(CountsContract):
    options: ClassVar[Mapping[str, Any]] = {"estimate": "counts"}


class TestCountsInBuckets(CountsContract):
    options: ClassVar[Mapping[str, Any]] = {"estimate": "counts", "buckets": 512}
    buckets = 512


counts_of_any_size = st.integers(0, 23).flatmap(lambda digits: st.integers(0, (1 << digits) - 1))


@given(st.integers(1, 4), st.integers(16, 300), st.data())
def test_counts_come_back(classes: int, tokens: int, data: st.DataObject) -> None:
    sizes = st.lists(counts_of_any_size, min_size=classes * tokens, max_size=classes * tokens)
    counts = np.array(data.draw(sizes)).reshape(classes, tokens)
    coded = encode_counts(counts)
    assert np.array_equal(decode_counts(coded, classes, tokens), counts)


def test_the_code_is_near_the_entropy_of_blocks() -> None:
    rng = np.random.default_rng(0)
    rate = 1000 / (1 + np.arange(29_523) / 8)
    counts = rng.poisson(np.stack([rate, rate]))
    from scipy.stats import poisson

    best = -np.log2(poisson.pmf(counts, rate)).sum() / 8
    assert best < len(encode_counts(counts)) < 1.15 * best + 400


@given(st.binary(max_size=80))
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        counts = decode_counts(data, 2, 40)
    except WireError:
        return
    assert counts.shape == (2, 40)
    assert (counts >= 0).all()


@given(st.data())
def test_cut_and_changed_bytes(data: st.DataObject) -> None:
    counts = np.arange(80).reshape(2, 40)
    coded = bytearray(encode_counts(counts))
    place = data.draw(st.integers(0, len(coded) - 1))
    coded[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(coded)))
    for hostile in (bytes(coded), bytes(coded[:cut])):
        with contextlib.suppress(WireError):
            assert decode_counts(hostile, 2, 40).shape == (2, 40)


@pytest.mark.parametrize(
    "asked",
    [Asked(800, 2), Asked(800, 127, 16), Asked(0, 0), Asked(0, 0, 8192), Asked(7, 1, 64, b"seed")],
)
def test_what_is_asked_for_comes_back(asked: Asked) -> None:
    assert Asked.decode(asked.encode()) == asked


@pytest.mark.parametrize(
    "body",
    [b"\x00\x00\x80", b"\x00\x00\x80\x10", b"\x00\x00\x80\x0f\x00", b"\x05\x00\x00",
     b"\x00\x00\x82\x20\x00", b"\x05\x00\x82\xff\xff"],
)  # fmt: skip
def test_impossible_requests(body: bytes) -> None:
    with pytest.raises(WireError):
        Asked.decode(body)


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ({}, Asked(0, 0)),
        ({"words": 50, "weight_bits": 1}, Asked(51, 1)),
        ({"words": 50, "weight_bits": 1}, Asked(50, 2)),
        ({"estimate": "counts"}, Asked(10, 1)),
        ({"estimate": "counts", "buckets": 64}, Asked(0, 0)),
    ],
)
def test_a_client_gives_no_more_than_its_own_options_say(
    small: dict[str, Any], own: dict[str, Any], asked: Asked
) -> None:
    from fedseed.runs.plan import make_plan

    world = World(make_plan(RunConfig.parse(small | {"protocol": "lexicon"} | own)))
    server = world.plan.server()
    payload = server.configure(1, [0])[0]
    usual = server.state()  # type: ignore[attr-defined]
    assert payload.endswith(usual)
    assert world.contribution(0, 1, payload)
    with pytest.raises(WireError, match="own options"):
        world.contribution(1, 1, payload[: -len(usual)] + asked.encode())


def test_too_few_buckets(small: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="0, or at least 16"):
        RunConfig.parse(small | {"protocol": "lexicon", "buckets": 15})


def test_logistic_words_in_buckets(small: dict[str, Any]) -> None:
    from fedseed.linear.buckets import names
    from fedseed.protocols.lexicon.messages import decode_words
    from fedseed.runs.plan import make_plan

    options = small | {"protocol": "lexicon", "words": 40, "buckets": 64}
    world = World(make_plan(RunConfig.parse(options)))
    server = world.plan.server()
    found = world.round(server, 1, [0, 1, 2])
    assert all(report.status == "ok" for report in server.aggregate(1, found).values())
    for contribution in found.values():
        words = np.flatnonzero(decode_words(contribution[HEAD_BYTES:], 2).weights)
        assert len(words) <= 40
        assert np.isin(words, names(64)).all()
    made, *_ = read_lexicon(decode(server.files()["lexicon.fseed"]).payload)
    assert len(made.tokens) > 40  # rarer words have their bucket's weight
