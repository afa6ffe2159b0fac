"""The sum: equal to the plain one to the bit whoever drops out, or an error, never an answer."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedseed.coding.vectors import Words
from fedseed.errors import RunError, WireError
from fedseed.federation.secure_aggregation.coordinator import Coordinator
from fedseed.federation.secure_aggregation.keys import KeyPair, shares_of
from fedseed.federation.secure_aggregation.neighbours import Graph, ring
from fedseed.federation.secure_aggregation.participant import Participant

LENGTH = 5
Lost = Mapping[int, int]
"""By client, the stage from which on it is silent: 1 to 4."""


def vectors(count: int) -> dict[int, Words]:
    rng = np.random.default_rng(count)
    drawn = rng.integers(0, 1 << 32, (count, LENGTH), dtype=np.uint64).astype(np.uint32)
    return {3 * number + 1: vector for number, vector in enumerate(drawn)}


def aggregated(graph: Graph, values: Mapping[int, Words], lost: Lost) -> tuple[Words, list[int]]:
    """The sum that the server learns, and of whom."""
    people = {number: Participant(number) for number in values}

    def there(stage: int, asked: Mapping[int, object]) -> list[int]:
        return [number for number in asked if lost.get(number, 9) > stage]

    server = Coordinator(graph, LENGTH)
    keys = server.advertised({n: people[n].advertise() for n in there(1, people)})
    boxes = server.shared({n: people[n].share(keys[n], graph.threshold) for n in there(2, keys)})
    answered = there(3, boxes)
    questions = server.masked({n: people[n].mask(boxes[n], values[n]) for n in answered})
    shares = {n: people[n].reveal(*questions[n]) for n in there(4, questions)}
    return server.sum(shares), answered


def plain(values: Mapping[int, Words], of: list[int]) -> Words:
    return np.sum([values[number] for number in of], axis=0, dtype=np.uint32)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_every_drop_out_that_the_threshold_allows(count: int) -> None:
    values, threshold = vectors(count), count // 2 + 1
    graph = ring(list(values), count, threshold)
    for size in range(count + 1):
        for missing in itertools.combinations(values, size):
            for stage in (1, 2, 3, 4):
                lost = dict.fromkeys(missing, stage)
                if count - size >= threshold:
                    total, of = aggregated(graph, values, lost)
                    assert len(of) == (count if stage == 4 else count - size)
                    assert np.array_equal(total, plain(values, of))
                else:
                    with pytest.raises(RunError, match="no answer"):
                        aggregated(graph, values, lost)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), count=st.integers(3, 14), neighbours=st.integers(2, 14))
def test_any_drop_outs_give_the_sum_or_an_error(
    data: st.DataObject, count: int, neighbours: int
) -> None:
    values = vectors(count)
    size = min(count, 2 * -(-neighbours // 2) + 1)
    graph = ring(list(values), neighbours, data.draw(st.integers(max(2, size // 2 + 1), size)))
    lost = data.draw(st.dictionaries(st.sampled_from(sorted(values)), st.integers(1, 4)))
    try:
        total, of = aggregated(graph, values, lost)
    except (RunError, WireError):
        assert lost
        return
    assert np.array_equal(total, plain(values, of))
    assert len(of) >= 2


def test_a_hundred_clients_on_a_ring() -> None:
    values = vectors(100)
    graph = ring(list(values), 8, 5)
    lost = {number: 1 + number % 4 for number in list(values)[::9]}
    total, of = aggregated(graph, values, lost)
    assert len(of) >= 88
    assert np.array_equal(total, plain(values, of))


def test_a_lone_survivor_is_never_revealed() -> None:
    values = vectors(3)
    graph = ring(list(values), 2, 2)
    people = {number: Participant(number) for number in values}
    server = Coordinator(graph, LENGTH)
    keys = server.advertised({n: one.advertise() for n, one in people.items()})
    boxes = server.shared({n: people[n].share(keys[n], 2) for n in people})
    masked = {n: people[n].mask(boxes[n], values[n]) for n in people}
    one = next(iter(values))
    with pytest.raises(RunError, match="too few for the threshold"):
        server.masked({one: masked[one]})
    for number, person in people.items():  # nor do the clients help a server that would
        with pytest.raises(WireError):
            person.reveal({one}, set(values) - {one, number})


def test_masked_vectors_say_nothing() -> None:
    values = {number: np.zeros(4000, dtype=np.uint32) for number in (1, 2, 3)}
    people = {number: Participant(number) for number in values}
    server = Coordinator(ring([1, 2, 3], 2, 2), 4000)
    keys = server.advertised({n: one.advertise() for n, one in people.items()})
    boxes = server.shared({n: people[n].share(keys[n], 2) for n in people})
    for number, person in people.items():
        masked = person.mask(boxes[number], values[number])
        assert np.mean(masked == 0) < 0.001
        assert abs(np.mean(masked / 2**32) - 0.5) < 0.03


class TestAHostileServer:
    """What a client refuses, whatever it is asked."""

    def begun(self) -> tuple[dict[int, Participant], Coordinator, dict[int, dict[int, bytes]]]:
        people = {number: Participant(number) for number in (1, 2, 3, 4)}
        server = Coordinator(ring([1, 2, 3, 4], 3, 3), LENGTH)
        return people, server, server.advertised({n: p.advertise() for n, p in people.items()})

    def test_both_secrets_of_a_client(self) -> None:
        people, server, keys = self.begun()
        boxes = server.shared({n: people[n].share(keys[n], 3) for n in people})
        for number, person in people.items():
            person.mask(boxes[number], np.zeros(LENGTH, np.uint32))
        with pytest.raises(WireError, match="both secrets"):
            people[1].reveal({1, 2, 3, 4}, {2})
        people[2].reveal({1, 2, 3, 4}, set())
        with pytest.raises(WireError, match="nothing is next"):
            people[2].reveal({1, 2, 3}, {4})  # a second time

    def test_a_small_threshold_or_a_small_cohort(self) -> None:
        for threshold, names in ((2, (1, 2, 3, 4)), (5, (1, 2, 3, 4)), (1, (1,))):
            people, _, keys = self.begun()
            with pytest.raises(WireError, match="fewer than"):
                people[1].share({n: keys[1][n] for n in names}, threshold)
        alone = Participant(1, least=10)
        own = alone.advertise()
        with pytest.raises(WireError, match="fewer than"):
            alone.share({1: own, 2: Participant(2).advertise()}, 2)

    def test_one_key_for_two_clients_or_another_for_itself(self) -> None:
        people, _, keys = self.begun()
        with pytest.raises(WireError, match="one key"):
            people[1].share(keys[1] | {3: keys[1][2]}, 3)
        people, _, keys = self.begun()
        with pytest.raises(WireError, match="not mine"):
            people[1].share(keys[1] | {1: Participant(9).advertise()}, 3)
        people, _, keys = self.begun()
        with pytest.raises(WireError):
            people[1].share(keys[1] | {2: bytes(98)}, 3)

    def test_a_damaged_share(self) -> None:
        people, server, keys = self.begun()
        boxes = server.shared({n: people[n].share(keys[n], 3) for n in people})
        broken = boxes[1] | {2: boxes[1][2][:-3] + b"abc"}
        with pytest.raises(WireError, match="damaged"):
            people[1].mask(broken, np.zeros(LENGTH, np.uint32))

    def test_questions_out_of_turn(self) -> None:
        person = Participant(1)
        with pytest.raises(WireError, match="advertise is next"):
            person.mask({}, np.zeros(LENGTH, np.uint32))


def test_a_client_that_shares_with_some_alone_is_left_out() -> None:
    values = vectors(4)
    people = {number: Participant(number) for number in values}
    server = Coordinator(ring(list(values), 3, 3), LENGTH)
    keys = server.advertised({n: one.advertise() for n, one in people.items()})
    sealed = {n: people[n].share(keys[n], 3) for n in people}
    first, second = list(values)[:2]
    del sealed[first][second]
    boxes = server.shared(sealed)
    assert first not in boxes
    questions = server.masked({n: people[n].mask(boxes[n], values[n]) for n in boxes})
    total = server.sum({n: people[n].reveal(*questions[n]) for n in questions})
    assert np.array_equal(total, plain(values, list(boxes)))


@pytest.mark.parametrize("threshold", [1, 2, 6])
def test_thresholds_that_are_no_majority(threshold: int) -> None:
    with pytest.raises(ValueError, match="threshold"):
        ring([1, 2, 3, 4, 5], 4, threshold)


def revealed(lost: int) -> tuple[Coordinator, dict[int, dict[int, bytes]]]:
    """A server that may sum three of four clients, and the shares that it gets."""
    values = vectors(4)
    people = {number: Participant(number) for number in values}
    server = Coordinator(ring(list(values), 4, 3), LENGTH)
    keys = server.advertised({n: one.advertise() for n, one in people.items()})
    boxes = server.shared({n: people[n].share(keys[n], 3) for n in people})
    answered = [n for n in boxes if n != lost]
    questions = server.masked({n: people[n].mask(boxes[n], values[n]) for n in answered})
    return server, {n: people[n].reveal(*questions[n]) for n in questions}


@pytest.mark.parametrize(
    ("owner", "secret", "says"),
    [(1, KeyPair().private, "another key"), (1, bytes(48), "no private key"),
     (1, bytes(50), "fit together"), (4, bytes(47), "fit together")],
    ids=["another key", "no key", "a longer key", "a longer mask key"],
)  # fmt: skip
def test_shares_of_something_else_end_the_sum(owner: int, secret: bytes, says: str) -> None:
    """Of a lost client's key, or of the key of a mask of one that is in the sum."""
    server, shares = revealed(lost=1)
    forged = shares_of(secret, 3, len(shares))
    lies = {n: parts | {owner: lie} for (n, parts), lie in zip(shares.items(), forged, strict=True)}
    with pytest.raises(RunError, match=f"{says}.*no answer"):
        server.sum(lies)
