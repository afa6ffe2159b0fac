"""Malformed messages by the hundred thousand, to a deployed node and to a run's server.

``server`` plays a malicious server: a node of its own small table, with a folder for its state and
limits, is called in this process with the messages of every protocol, most of them changed.
``node`` plays malicious nodes: one of a round's honest contributions is changed at a time, and the
server takes them all. Whatever is sent, there has to be a reply or a :class:`FedseedError` in one
line, in seconds, without much memory, private text, or more epsilon than the node allows. Prints
tables; the exit status is 1 on any finding. The same seed sends the same.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from flwr.app import Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hostile_answers import NAMES, answers_of, draw_once
from benchmarks.hostile_parts import MARKERS, Outcomes, Watch, limit_memory, mutated
from benchmarks.hostile_worlds import RUNS, Ask, Run, World, costly, make_run, write_inputs
from fedseed.cli.exit_status import run_app
from fedseed.config import RunConfig
from fedseed.errors import ConfigError
from fedseed.federation.client_app import client_app
from fedseed.federation.messages import content, payload_of
from fedseed.federation.terms import Terms
from fedseed.models.architecture import REGISTRY, Architecture
from fedseed.randomness import generator

_LIMITS: Mapping[str, int] = {
    "most-tokens": 100_000, "most-steps": 100, "most-rounds": 20, "most-model-bytes": 100_000_000,
    "most-message-bytes": 40_000_000,
}  # fmt: skip
_EPSILON = 8
_GROUPS = (
    "0", "1", "2", "3", "21", "-1", "1e3", "\uff19", "\u00b2", "999999999", "9" * 40, "9" * 5000,
    "x" * 200, "given", "aggregated", "alone", "a\nb", "a\rb", "", "1 ", "+1", "0x1", "\0",
    "../../1",
)  # fmt: skip
_KINDS = (
    "query", "query.labels", "query.agree", "train", "evaluate",
    *(f"{stage}.{step}" for stage in ("train", "evaluate") for step in
      ("advertise", "share", "reveal")),
)  # fmt: skip
_VALUES = (
    0, 1, -1, 2, 7, 100, 10**6, 2**31, 2**63 - 1, -(2**63), 0.0, 0.5, 0.999999, 1e-300, 1e300, 2.0,
    1e6, float("nan"), float("inf"), "", "x", "a\nb", "\0", "x" * 10_000, True, False,
    "recipe", "counts", "example", "client", "lexicon", "random", "sites", "int8",
)  # fmt: skip
_PATHS = ("model", "recipe", "seed-file", "public", "data")
_COMMON = ("epsilon", "noise", "delta", "rounds", "steps", "clients", "clip", "threshold")


@dataclass
class Node:
    """A deployed node, and what it gave away."""

    configuration: dict[str, Any]
    private: bool
    spent: dict[str, float] = field(default_factory=dict)
    """Epsilon by study."""
    told: dict[tuple[str, int], set[bytes]] = field(default_factory=dict)
    """Digests of what was answered in rounds of which there is but one answer."""

    def answered(self, study: str, ask: Ask, answer: bytes, watch: Watch) -> None:
        """Note what was answered in a round, under privacy or in a sum."""
        options = ask.options
        private = bool(options.get("privacy") and options.get("epsilon"))
        if ask.kind != "train" or not (private or options.get("secure-aggregation") is True):
            return
        detail = f"study {study}, round {ask.group}, epsilon {options.get('epsilon')}"
        told = self.told.setdefault((study, int(ask.group)), set())
        told.add(hashlib.sha256(answer).digest())
        if len(told) > 1:
            watch.outcomes.find("train: a round was answered in two ways", detail)
        if not (private and self.private):
            return
        spent = self.spent
        spent[study] = max(spent.get(study, 0.0), float(options["epsilon"]))
        if sum(spent.values()) > _EPSILON * (1 + 1e-9):
            watch.outcomes.find("train: answers of more epsilon than the node allows", detail)
        noted = Path(str(self.configuration["state"])) / "spent.json"
        if noted.exists() and sum(json.loads(noted.read_text()).values()) > _EPSILON * (1 + 1e-9):
            watch.outcomes.find("train: spent.json has more than most-epsilon", detail)


class Attack:
    """One process' requests."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Write what is needed, and make the honest runs."""
        self._folder, self._rng = folder, generator(seed, "hostile server")
        self._files = write_inputs(folder)
        self._runs = {name: make_run(name, self._files) for name in RUNS}
        self._payloads = [p for run in self._runs.values() for p in run.payloads.values()]
        self._costly = costly(World("labels", self._files))
        self._names = sorted(self._runs["recipe"].config.to_run_config())
        self._app, self._studies = client_app(), 0
        self.watch = Watch(Outcomes())

    def send(self, requests: int, minutes: float) -> Outcomes:
        """Play one study after the other."""
        counts, end = self.watch.outcomes.counts, time.monotonic() + 60 * minutes
        while counts.total() < requests and time.monotonic() < end:
            nodes = self._nodes()
            for _ in range(12):
                if counts.total() >= requests or time.monotonic() > end:
                    break
                node = nodes[int(self._rng.integers(len(nodes)))]
                able = [n for n in RUNS if not node.private or "private" in n]
                self._study(node, self._runs[str(self._rng.choice(able))])
        return self.watch.outcomes

    def _nodes(self) -> list[Node]:
        """New ones, of no past: without and with a limit of epsilon, and without a state."""
        self._studies += 1
        base: dict[str, Any] = {
            "partition-id": 0, "data": self._files["table"], "labels": "y=positive,n=negative",
            "tell-labels": True, **_LIMITS,
        }  # fmt: skip
        states = [str(self._folder / f"state{self._studies}.{n}") for n in range(2)]
        return [
            Node(base | {"state": states[0]}, False),
            Node(base | {"state": states[1], "most-epsilon": _EPSILON}, True),
            Node(base | {"tell-labels": False, "tests": "summed"}, False),
        ]

    def _study(self, node: Node, run: Run) -> None:
        self._studies += 1
        rng, study = self._rng, self._rng.bytes(16).hex()
        context = Context(self._studies, 1, node.configuration, RecordDict(), {})
        said: dict[str, bytes] = {}
        terms = Terms.of(run.config, ("negative", "positive"), study)
        for ask in run.asks(terms, said):
            for _ in range(int(rng.integers(0, 6))):
                self._send(node, study, context, self._changed(ask), {})
            if rng.random() < (0.98 if ask.kind == "query.agree" else 0.8):
                self._send(node, study, context, ask, said)

    def _changed(self, ask: Ask) -> Ask:
        rng, options = self._rng, dict(ask.options)
        kind, group, payload = ask.kind, ask.group, ask.payload
        chance = rng.random()
        dear = ask.options["protocol"] in ("scalars", "labels") and kind in ("train", "evaluate")
        if dear and chance < 0.1:
            payload = self._costly[int(rng.integers(len(self._costly)))]
        elif chance < 0.55:
            payload = mutated(payload, rng, self._payloads)
        elif chance < 0.7:
            payload = self._terms(payload) if kind == "query.agree" else ask.payload
            kind = str(rng.choice(_KINDS))
        elif chance < 0.8:
            group = _GROUPS[int(rng.integers(len(_GROUPS)))]
        if chance >= 0.75 or rng.random() < 0.05:
            for _ in range(int(rng.integers(1, 3))):
                name, value = self._option()
                options[name] = value
        return Ask(kind, group, payload, options)

    def _option(self) -> tuple[str, Any]:
        rng = self._rng
        if rng.random() < 0.2:
            paths = [*self._files.values(), "/dev/zero", "/dev/stdin", "/proc", "/proc/self/maps",
                     str(self._folder), "~", "minilm", "sites:/", "nobody/nothing"]  # fmt: skip
            return str(rng.choice(_PATHS)), paths[int(rng.integers(len(paths)))]
        names = _COMMON if rng.random() < 0.4 else [*self._names, "no-such-name", ""]
        return str(rng.choice(names)), _VALUES[int(rng.integers(len(_VALUES)))]

    def _terms(self, payload: bytes) -> bytes:
        values = json.loads(payload)
        name = str(self._rng.choice(list(values)))
        more: tuple[Any, ...] = (
            [],
            {},
            None,
            "../" * 10 + "x",
            ["a"] * 300,
            ["a,b", "c"],
            ["x" * 1000] * 255,
        )
        choices = (*_VALUES, *more)
        return json.dumps(values | {name: choices[int(self._rng.integers(len(choices)))]}).encode()

    def _send(
        self, node: Node, study: str, context: Context, ask: Ask, said: dict[str, bytes]
    ) -> None:
        def detail() -> str:
            usual = RunConfig.parse({}).to_run_config()
            changed = {n: v for n, v in ask.options.items() if usual.get(n, "") != v}
            return f"group {ask.group[:40]!r}, {len(ask.payload)} bytes, options {changed!s:.900}"

        def work() -> str:
            context.run_config = dict(ask.options)
            message = Message(content(ask.payload), 1, ask.kind, group_id=ask.group)
            payload = b""
            reply = self._app(message, context)
            if ask.kind != "query":
                payload = said[ask.kind] = payload_of(reply)
            if any(marker in payload.lower() for marker in _PRIVATE_BYTES):
                self.watch.outcomes.find(f"{ask.kind}: private text in a reply", detail())
            node.answered(study, ask, payload, self.watch)
            return "refused" if payload.startswith(b'{"refused"') else "reply"

        self.watch.trial(ask.kind, detail, work)


_PRIVATE_BYTES = [marker.encode() for marker in MARKERS]


def attack(requests: int, minutes: float, seed: int) -> Outcomes:
    """One process' part."""
    with tempfile.TemporaryDirectory() as folder:
        _prepare(folder)
        one = Attack(Path(folder), seed)
        limit_memory()
        return one.send(requests, minutes)


def _prepare(folder: str) -> None:
    """No network, one thread, a cache of its own, and what Flower asks for before a message."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "FEDSEED_CACHE": f"{folder}/cache"}
    torch.set_num_threads(1)
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


def server(
    requests: Annotated[int, typer.Option(min=1, help="Requests in all.")] = 100_000,
    minutes: Annotated[float, typer.Option(help="End after so many in any case.")] = 240.0,
    processes: Annotated[int, typer.Option(min=1, max=2, help="At the same time.")] = 2,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Send a node what a malicious server would."""
    each, total = -(-requests // processes), Outcomes()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        parts = [pool.submit(attack, each, minutes, seed * 1000 + n) for n in range(processes)]
        for part in parts:
            total.merge(part.result())
    _end(total, "requests to a node")


def node(
    answers: Annotated[int, typer.Option(min=1, help="Answers of each kind.")] = 100_000,
    protocol: Annotated[str, typer.Option(help=f"all, or one of {', '.join(NAMES)}.")] = "all",
    minutes: Annotated[float, typer.Option(help="For each kind, at most.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    whole: Annotated[
        bool, typer.Option("--whole", help="With all of bert-tiny, not a small one.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, max=2, help="At the same time.")] = 2,
) -> None:
    """Answer a server as malicious nodes would."""
    if protocol not in ("all", *NAMES):
        raise ConfigError(f"--protocol {protocol}: choose all, or one of {', '.join(NAMES)}")
    total, names = Outcomes(), NAMES if protocol == "all" else (protocol,)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, max_tasks_per_child=1) as pool:
        parts = {n: pool.submit(answer, n, answers, seed, minutes, whole) for n in names}
        for name, part in parts.items():
            found = part.result()
            total.merge(found)
            print(f"{name}: {found.counts.total():,}, {len(found.findings)} finding(s)", flush=True)
    _end(total, "answers of nodes")


def answer(name: str, answers: int, seed: int, minutes: float, whole: bool) -> Outcomes:
    """One kind's part."""
    if not whole and "lexicon" not in name and "staged" not in name:  # words need 128 features
        REGISTRY["bert-tiny"] = Architecture("bert-tiny", 1, 4, 1, 8)  # reads the same, less of it
    elif "lexicon" in name:
        draw_once()
    with tempfile.TemporaryDirectory() as folder:
        _prepare(folder)
        return answers_of(name, answers, seed, minutes, Path(folder))


def _end(total: Outcomes, what: str) -> None:
    total.show(Console(width=140), what)
    if total.findings:
        raise typer.Exit(1)


if __name__ == "__main__":
    commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    commands.command()(server)
    commands.command()(node)
    sys.exit(run_app(typer.main.get_command(commands)))
