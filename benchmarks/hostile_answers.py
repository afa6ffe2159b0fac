"""What malicious nodes answer: contributions, sums, test counts and words of agreement.

Contributions are changed one at a time, but taken many at a time: one honest client stands beside
all the changed ones of a batch, so that a round is finished once for all of them.
"""

import functools
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flwr.common.secure_aggregation.crypto import shamir

from benchmarks.hostile_nodes import Answers, Play, Serial
from benchmarks.hostile_parts import Outcomes, Watch, mutated
from benchmarks.hostile_worlds import RUNS, World, write_inputs
from fedseed.coding.fixed_point import limits_of
from fedseed.coding.vectors import LARGEST, Words
from fedseed.evaluation.metrics import ClassCounts
from fedseed.federation.agreement import Agreement
from fedseed.federation.counted_tests import decode_counts, encode_counts, from_words
from fedseed.federation.terms import Terms
from fedseed.models.registry import to_state
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.ranges import ranges_of
from fedseed.protocols.vector_server import VectorServer
from fedseed.randomness import generator
from fedseed.seeds.kinds.lexicon import assembly
from fedseed.seeds.kinds.random import draw

OTHERS = ("counts of tests", "agreement", "secure aggregation")
"""What is tried beside contributions of the protocols."""
NAMES = (*RUNS, *OTHERS)
_BATCH = 64
_NASTY: tuple[Any, ...] = (
    None, 0, -1, 1e308, True, [], {}, "", "a\nb", "\ud800", "a,b", "\x1b[2J", "x" * 70_000, [1],
    ["a"], ["a", "\ud800"], ["a", "b\n"], ["", " "], [["a"]], [f"c{n}" for n in range(300)],
)  # fmt: skip


class Trials:
    """Tries one protocol's server side, or one of the others."""

    def __init__(self, folder: Path, seed: int, outcomes: Outcomes, end: float) -> None:
        """Prepare; nothing is tried once ``end`` of the monotonic clock has passed."""
        self._files, self._end = write_inputs(folder), end
        self._seed, self.watch = seed, Watch(outcomes)

    def run(self, name: str, answers: int) -> None:
        """Try so many answers."""
        self._rng = generator(self._seed, f"hostile node/{name}")
        if name in OTHERS:
            work = {"counts of tests": self._counts, "agreement": self._agreement,
                    "secure aggregation": self._sums}[name]  # fmt: skip
            work(answers)
            return
        world = World(name, self._files)
        if world.plan.config.secure_aggregation:
            self._totals(name, world, answers)
        else:
            self._contributions(name, world, answers)

    def _more(self, done: int, wanted: int) -> bool:
        return done < wanted and time.monotonic() < self._end

    def _contributions(self, name: str, world: World, answers: int) -> None:
        given = world.honest(world.plan.server(), 1, [0, 1, 2])
        pool, done = list(given.values()), 0
        while self._more(done, answers):
            bad = {n: mutated(pool[1 + n % 2], self._rng, pool) for n in range(1, _BATCH + 1)}
            self._round(name, world.plan.server(), {0: given[0]} | bad)
            done += len(bad)

    def _round(self, name: str, server: ProtocolServer, answers: Mapping[int, bytes]) -> None:
        """One honest answer and all the changed ones."""
        reports: dict[int, Any] = {}

        def work() -> str:
            server.configure(1, sorted(answers))
            for answer in answers.values():
                server.describe_contribution(answer)
            reports.update(server.aggregate(1, answers))
            return "round"

        self.watch.trial(f"{name}: a round", lambda: _shown(answers), work)
        for pid in answers:
            report = reports.get(pid)
            self.watch.outcomes.counts[name, report.status if report else "none"] += pid > 0
            if report is not None:
                json.dumps(dict(report.metrics), allow_nan=False)
        if 0 not in reports or reports[0].status != "ok":
            self.watch.outcomes.find(f"{name}: an honest answer was not taken", _shown(answers))
        self.watch.trial(f"{name}: after it", lambda: _shown(answers), lambda: _sound(server))

    def _totals(self, name: str, world: World, answers: int) -> None:
        """Sums in which somebody's numbers are absurd."""
        server, done = world.plan.server(), 0
        payloads, client = server.configure(1, [0, 1, 2]), world.client()
        honest: Words = np.sum(
            [client.addend(world.task(p, 1, payloads[p]), 3) for p in range(3)], axis=0,
            dtype=np.uint32,
        )  # fmt: skip
        start = server.checkpoint()
        while self._more(done, answers):
            if done % 100 == 0 and start is not None:
                server = world.plan.server()
                server.configure(1, [0, 1, 2])
            total, done = self._absurd(honest), done + 1

            def work(total: Words = total, server: ProtocolServer = server) -> str:
                before = _vector(server)
                server.aggregate_sum(1, total, [0, 1, 2])
                return _moved(server, before) or _sound(server)

            self.watch.trial(name, lambda: "a changed sum", work)

    def _absurd(self, honest: Words) -> Words:
        total, rng = honest.copy(), self._rng
        values = np.array([0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1, 10**7, 4095], np.uint32)
        few = int(rng.choice([1, 3, 100]))
        places = rng.integers(0, len(total) if rng.random() < 0.7 else 4, few)
        total[places] = rng.choice(values, few)
        if rng.random() < 0.1:
            total[2:] = rng.integers(0, 2**32, len(total) - 2, dtype=np.uint32)
        return total

    def _counts(self, answers: int) -> None:
        honest = encode_counts(ClassCounts((3, 4), (5, 6)))
        for done in range(answers):
            if not self._more(done, answers):
                return
            data, known = mutated(honest, self._rng), (None, (5, 6))[done % 2]

            def work(data: bytes = data, known: Sequence[int] | None = known) -> str:
                counts = decode_counts(data, 2, known)
                from_words(np.frombuffer(data, "<u4").astype(np.uint32))
                return "ok" if min(counts.examples) >= 0 else "negative"

            self.watch.trial("counts of tests", data.hex, work)

    def _agreement(self, answers: int) -> None:
        honest = [json.dumps(value).encode() for value in ({"name": "a"}, {"labels": ["a", "b"]})]
        done = 0
        while self._more(done, answers):
            said = {n: self._words(honest[(done + n) % 2]) for n in range(20)}
            grid, done = Answers(said), done + len(said)

            def work(grid: Answers = grid, names: bool = done % 40 == 0) -> str:
                agreement = Agreement(grid, {n: n for n in grid.said})
                terms = Terms(study="0" * 32, fedseed="1", classes=("a", "b"), model="m",
                              tokenizer="t", max_length=8, rounds=1, clients=2)  # fmt: skip
                if names:
                    known = agreement.agree(terms).values()
                    return "ok" if all(one.isprintable() for one in known) else "unprintable"
                classes = tuple(agreement.classes().split(","))
                terms.model_copy(update={"classes": classes}).encode()
                return "ok"

            shown = str(list(said.values()))[:900]
            self.watch.trial("agreement", functools.partial(str, shown), work)

    def _words(self, honest: bytes) -> bytes:
        rng = self._rng
        if rng.random() < 0.9:
            return honest
        if rng.random() < 0.3:
            return (b"[" * 60_000, b'{"name":' * 5000, b"9" * 60_000, b"NaN")[int(rng.integers(4))]
        if rng.random() < 0.5:
            return mutated(honest, rng)
        value = _NASTY[int(rng.integers(len(_NASTY)))]
        return json.dumps(dict.fromkeys(json.loads(honest), value)).encode()

    def _sums(self, answers: int) -> None:
        vars(shamir)["ThreadPoolExecutor"], rng = Serial, self._rng
        for done in range(answers):
            if not self._more(done, answers):
                return
            play = Play(str(rng.choice(["advertise", "share", "main", "reveal"])), rng)
            self.watch.trial("secure aggregation", functools.partial(str, play.stage), play.work)


def _vector(server: ProtocolServer) -> Any:
    if not isinstance(server, VectorServer):
        return None
    return server.start() if server._vector is None else server._vector


def _moved(server: ProtocolServer, before: Any) -> str:
    """Whether a sum led further than any client may move what is summed."""
    if before is None or not isinstance(server, VectorServer):
        return ""
    change = np.abs(_vector(server) - before)
    limits = limits_of(server.parts, ranges_of(server.parts, server.setup.recipe))
    return "beyond the ranges" if (change > 1.001 * limits + 1e-6).any() else ""


def _sound(server: ProtocolServer) -> str:
    """Whether what a round has made is finite, and can be sent and kept."""
    server.configure(2, [0, 1])
    server.summary("aggregated"), server.products()
    kept = server.checkpoint()
    if kept is not None:
        server.restore(kept)
    model = server.model()
    for values in () if model is None else to_state(model).values():
        largest = float(np.abs(values).max(initial=0.0))
        if not math.isfinite(largest) or largest > 100 * LARGEST:
            return "absurd weights"
    return "ok"


def _shown(answers: Mapping[int, bytes]) -> str:
    return ", ".join(f"{len(a)} bytes {a[:12].hex()}" for a in list(answers.values())[:6])


def answers_of(name: str, answers: int, seed: int, minutes: float, folder: Path) -> Outcomes:
    """Try so many answers of one kind."""
    outcomes = Outcomes()
    Trials(folder, seed, outcomes, time.monotonic() + 60 * minutes).run(name, answers)
    for kind, outcome in list(outcomes.counts):
        if outcome in _WRONG:
            outcomes.find(f"{kind}: {outcome}", f"{outcomes.counts[kind, outcome]:,} times")
    return outcomes


def draw_once() -> None:
    """Keep what a key draws for a seed of words: here thousands are assembled."""
    drawn = functools.cache(draw)
    vars(assembly)["draw"] = lambda *given: drawn(*given).copy()


_WRONG = (
    "beyond the ranges", "absurd weights", "unprintable", "negative", "none",
    "another sum, without the liar",
)  # fmt: skip
