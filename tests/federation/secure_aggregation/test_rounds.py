"""Rounds under secure aggregation: the server learns the plain sum of those who stayed."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fedseed.coding.vectors import Words
from fedseed.config import RunConfig
from fedseed.errors import RunError, WireError
from fedseed.federation.client_app import client_app
from fedseed.federation.engines import run_local
from fedseed.federation.history import History
from fedseed.federation.messages import content
from fedseed.federation.secure_aggregation.client import SumClient
from fedseed.federation.secure_aggregation.messages import (
    decode_parts,
    decode_question,
    decode_words,
    encode_keys,
    encode_parts,
    encode_question,
    split_parts,
)
from fedseed.federation.secure_aggregation.participant import Participant
from fedseed.federation.session import Session
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask, ProtocolServer
from fedseed.randomness import generator
from fedseed.runs.plan import Plan, make_plan
from fedseed.training import Trainer
from fedseed.transcript import REVEAL, SHARE, TRAIN, Transcript
from tests.test_cli import refused

COUNTS = {"protocol": "lexicon", "estimate": "counts", "rounds": 1}
CASES: dict[str, dict[str, Any]] = {
    "lexicon": COUNTS, "weights": {"protocol": "weights"},
    "weights-int8": {"protocol": "weights", "codec": "int8"},
    "adapters": {"protocol": "adapters"},
    "head": {"protocol": "adapters", "target": "head"},
    "coordinates": {"protocol": "coordinates"},
    "labels": {"protocol": "labels", "public": "reviews:20"}, "mask": {"protocol": "mask"},
}  # fmt: skip
SIX = {"clients": 6, "drop_rate": 0.15, "secure_aggregation": True, "threshold": 4}


def plan_of(small: dict[str, Any], **changes: Any) -> Plan:
    return make_plan(RunConfig.parse(small | changes))


def served(plan: Plan) -> tuple[ProtocolServer, Transcript]:
    """The server after all rounds, and what crossed the wire."""
    transcript, server = Transcript(keep_all=True), plan.server()
    config = plan.config

    def serve(grid: Any, _: object) -> None:
        partitions = config.clients + config.newcomers
        Session(grid, partitions, History(transcript)).train(server, config)

    run_local(config, serve, None)
    return server, transcript


def addends(plan: Plan, number: int, payloads: dict[int, bytes], memories: Any) -> dict[int, Words]:
    """What every client would add, without any masks."""
    config, found = plan.config, {}
    protocol = find_protocol(config.protocol)
    parts = {"trainer": Trainer(plan.compute), "public": plan.federated.public}
    client = protocol.make_client(config.options, **parts)
    for pid, payload in payloads.items():
        rng = generator(config.run_seed, "train", number, pid)
        memory = memories.setdefault(pid, {})
        task = ClientTask(payload, plan.federated.shard(pid), memory, rng)
        found[pid] = client.addend(task, config.cohort_size)
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_server_learns_the_plain_sum(small: dict[str, Any], case: str) -> None:
    plan = plan_of(small, **{**CASES[case], **SIX})
    server, transcript = served(plan)
    plain, memories = plan.server(), {}
    for number in range(1, plan.config.rounds + 1):
        exchanges = transcript.of(TRAIN, str(number))
        payloads = plain.configure(number, list(range(6)))
        every = addends(plan, number, payloads, memories)
        stayed = [pid for pid, exchange in exchanges.items() if exchange.status == "ok"]
        for pid in stayed:  # nobody's numbers are on the wire
            masked = decode_words(exchanges[pid].up)
            assert masked.shape == every[pid].shape
            assert np.mean(masked == every[pid]) < 0.01
        total = np.sum([every[pid] for pid in stayed], axis=0, dtype=np.uint32)
        assert len(total) == plain.sum_length()
        plain.aggregate_sum(number, total, stayed)
    assert server.products() == plain.products()


def test_counts_are_those_of_a_run_without(small: dict[str, Any]) -> None:
    hidden, shown = (plan_of(small, **COUNTS, secure_aggregation=on) for on in (True, False))
    assert served(hidden)[0].products() == served(shown)[0].products()


@pytest.mark.parametrize("case", ["weights", "adapters", "labels"])
def test_means_are_nearly_those_of_a_run_without(small: dict[str, Any], case: str) -> None:
    """Fixed point rounds; a mean of three rounded changes is within a step of their mean."""
    from fedseed.models.registry import to_state

    plans = [plan_of(small, **CASES[case], rounds=1, secure_aggregation=on) for on in (True, False)]
    states = []
    for plan in plans:
        model = served(plan)[0].model()
        assert model is not None
        states.append(to_state(model))
    for name, weights in states[0].items():
        assert np.abs(weights - states[1][name]).max() < 1e-6, name


def test_too_few_end_the_run_without_a_sum(small: dict[str, Any]) -> None:
    plan = plan_of(small, **COUNTS, secure_aggregation=True, drop_rate=1.0)
    with pytest.raises(RunError, match="no sum is known, and no answer"):
        served(plan)


def test_a_lexicon_round_and_then_another_protocol(small: dict[str, Any]) -> None:
    options = {"protocol": "weights", "start": "lexicon", "estimate": "counts", "rounds": 2}
    plan = plan_of(small, **options, secure_aggregation=True)
    server, transcript = served(plan)
    assert "lexicon.fseed" in server.files()
    assert transcript.groups(REVEAL) == ["1", "2"]


def test_garbage_is_left_out_or_named(small: dict[str, Any], monkeypatch: Any) -> None:
    """A vector of another length is lost; one of absurd numbers ends the run, without a culprit."""
    from fedseed.protocols.lexicon.client import LexiconClient

    honest = LexiconClient.addend

    def answers(change: Callable[[Words], Words]) -> None:
        calls = itertools.count()

        def addend(self: Any, task: ClientTask, cohort: int) -> Words:
            vector = honest(self, task, cohort)
            return change(vector) if next(calls) == 1 else vector  # one by one, in their order

        monkeypatch.setattr(LexiconClient, "addend", addend)

    plan = plan_of(small, **COUNTS, clients=4, secure_aggregation=True)
    answers(lambda vector: vector[:-1])
    _, transcript = served(plan)
    assert set(transcript.of(REVEAL, "1")) == {0, 2, 3}
    answers(lambda vector: vector + np.uint32(1 << 30))
    with pytest.raises(RunError, match="one of 4 clients sent what cannot be"):
        served(plan)


def test_a_client_sums_a_round_once_where_the_server_is_another_s() -> None:
    memory: dict[str, bytes] = {}
    people = {0: SumClient(memory, 0, once=True), 1: SumClient({}, 1), 2: SumClient({}, 2)}
    keys = {number: one.advertise("3") for number, one in people.items()}
    sealed = {n: decode_parts(one.share("3", encode_keys(2, keys))) for n, one in people.items()}
    box = {other: sealed[other][0] for other in (1, 2)}
    nothing = np.zeros(4, np.uint32)
    people[0].mask("3", encode_parts(box) + b"asked", lambda asked: nothing + len(asked))
    for number in (3, 2):
        with pytest.raises(WireError, match="is summed already"):
            people[0].advertise(str(number))
    people[0].reveal("3", encode_question({0, 1, 2}, set()))
    assert set(memory) == {"summed"}
    with pytest.raises(WireError, match="no sum of round 3 has begun"):
        people[0].reveal("3", encode_question({0, 1}, {2}))
    people[0].advertise("4")


def test_what_a_client_keeps_between_questions_is_all_of_it() -> None:
    person = Participant(1)
    keys = {1: person.advertise(), 2: Participant(2).advertise(), 3: Participant(3).advertise()}
    again = Participant.load(person.save())
    again.share(keys, 2)
    assert Participant.load(again.save()).save() == again.save()
    with pytest.raises(WireError, match="mask is next"):
        Participant.load(again.save()).share(keys, 2)


def test_malformed_bytes_are_refused() -> None:
    parts = encode_parts({4: b"ab", 9: b""})
    assert split_parts(parts + b"rest") == ({4: b"ab", 9: b""}, b"rest")
    assert decode_question(encode_question({1, 2}, {3})) == ({1, 2}, {3})
    twice = encode_parts({4: b"", 9: b""}).replace(b"\x09", b"\x04")
    for data in (b"", parts[:-1], parts + b"x", b"\xff" * 8, twice):
        with pytest.raises(WireError):
            decode_parts(data)
    with pytest.raises(WireError):
        decode_question(encode_parts({4: b"what"}))


def test_a_plain_client_takes_no_part(small: dict[str, Any]) -> None:
    """And one under secure aggregation sends nothing unmasked, whatever it is asked for."""
    from flwr.app import Context, Message, RecordDict

    for secure, kind, says in ((False, SHARE, "not among"), (True, TRAIN, "has begun here")):
        config = plan_of(small, **COUNTS, secure_aggregation=secure).config
        context = Context(1, 1, {"partition-id": 0, "num-partitions": 4}, RecordDict(), {})
        message = Message(content(bytes(4)), 1, kind, group_id="1")
        with pytest.raises(WireError, match=says):
            client_app(config)(message, context)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"protocol": "recipe"}, "must see each contribution of protocol recipe: use --protocol"),
    ({"protocol": "scalars"}, "use --protocol lexicon"),
    ({"protocol": "lexicon", "rounds": 1}, "use --estimate counts"),
    (COUNTS | {"rounds": 2}, "use --rounds 1"),
    ({"protocol": "weights", "codec": "topk"}, "use --codec int8"),
    ({"protocol": "weights", "strategy": "krum"}, "use fedavg or fedadam"),
    (COUNTS | {"clients": 2}, "--cohort 3 at least"),
    (COUNTS | {"clients": 9, "threshold": 4}, "give more than half of the 9 clients"),
    (COUNTS | {"clients": 9, "threshold": 10}, "5 to 9"),
]


@pytest.mark.parametrize(("change", "says"), BAD, ids=[f"{c}" for c, _ in BAD])
def test_bad_options(command: Any, tmp_path: Any, change: dict[str, Any], says: str) -> None:
    refused(command("--secure-aggregation", out=tmp_path / "out", **change), says)


def test_a_threshold_without_sums_is_refused(command: Any, tmp_path: Any) -> None:
    refused(command(out=tmp_path / "out", threshold=3), "works with --secure-aggregation only")
