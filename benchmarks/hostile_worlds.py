"""The small runs that hostile messages belong to: files, plans, and what honest clients answer."""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile_parts import MARKERS
from fedseed.config import RunConfig
from fedseed.errors import FedseedError
from fedseed.federation.privacy_budget import defence_of
from fedseed.federation.secure_aggregation.messages import (
    encode_keys,
    encode_parts,
    encode_question,
)
from fedseed.federation.secure_aggregation.participant import Participant
from fedseed.federation.terms import Terms
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ClientTask, ProtocolClient, ProtocolServer
from fedseed.protocols.request import SeedBroadcast
from fedseed.protocols.scalars.messages import encode_state
from fedseed.protocols.shared_model import encode_download
from fedseed.protocols.staged import StagedClient
from fedseed.randomness import generator
from fedseed.runs.plan import Plan, make_plan
from fedseed.training import Trainer

_RECIPE = "steps = 1\nbatch_size = 2\nmax_length = 8\n"
_SUMMED = {"secure_aggregation": True}
_PRIVATE = {"privacy": "example", "epsilon": 2.0}
_COUNTS = {
    "protocol": "lexicon", "estimate": "counts", "rounds": 1, "buckets": 1024, "seed_bytes": 300,
}  # fmt: skip
_BITS = {"protocol": "labels", "label_bits": 4, "distil_steps": 1}
RUNS: Mapping[str, dict[str, Any]] = {
    "recipe": {"protocol": "recipe"},
    "recipe, private": {"protocol": "recipe", "privacy": "client", "epsilon": 4.0},
    "recipe, staged": {"protocol": "recipe", "start": "lexicon", "words": 20},
    "weights": {"protocol": "weights", "codec": "int8"},
    "weights, topk": {"protocol": "weights", "codec": "topk"},
    "weights, summed": {"protocol": "weights", **_SUMMED},
    "weights, private": {"protocol": "weights", "clip": 1.0, "noise": 2.0, **_PRIVATE},
    "adapters": {"protocol": "adapters", "rank": 2},
    "labels": _BITS,
    "labels, private": {"protocol": "labels", "label_bits": 1, "distil_steps": 1,
                        "privacy": "client", "epsilon": 2.0},
    "labels, summed": {**_BITS, **_SUMMED},
    "lexicon": {"protocol": "lexicon", "words": 20},
    "lexicon, counts": _COUNTS,
    "lexicon, private": {**_COUNTS, **_PRIVATE},
    "lexicon, private, summed": {**_COUNTS, **_PRIVATE, **_SUMMED},
    "coordinates": {"protocol": "coordinates", "rank": 2},
    "mask": {"protocol": "mask"},
    "scalars": {"protocol": "scalars", "perturbations": 5},
}  # fmt: skip


def write_inputs(folder: Path) -> dict[str, str]:
    """A node's table, public texts, a recipe, and a file that is nobody's business."""
    rows = [
        f"{MARKERS[n % 4]} film {n} {('fine', 'poor')[n % 2]} {MARKERS[n // 4 % 4]},{'yn'[n % 2]}"
        for n in range(60)
    ]
    contents = {
        "table": ("table.csv", "\n".join(["text,label", *rows])),
        "public": ("public.txt", "\n".join(f"a film of number {n}" for n in range(20))),
        "recipe": ("recipe.toml", _RECIPE),
        "secret": ("secret.toml", f'steps = "{MARKERS[0]}"\n{MARKERS[1]} = 1\n'),
    }
    for name, text in contents.values():
        (folder / name).write_text(text + "\n")
    return {name: str(folder / file) for name, (file, _) in contents.items()}


def options_of(name: str, files: Mapping[str, str], sites: bool) -> dict[str, Any]:
    """Options of a small run, of sites or of one table that is split."""
    options: dict[str, Any] = {
        "clients": 3, "newcomers": 0, "rounds": 2, "steps": 1, "max_length": 8, "start": "random",
        "recipe": files["recipe"], "data": files["table"],
    } | RUNS[name]  # fmt: skip
    if options["protocol"] == "labels":
        options["public"] = files["public"]
    if sites:
        options |= {"data": "sites", "classes": "negative,positive"}
        if options["protocol"] == "weights" and "privacy" in options:
            options["smallest_site"] = 8
    return options


class World:
    """A plan, and its clients in this process."""

    def __init__(self, name: str, files: Mapping[str, str]) -> None:
        """Make the plan."""
        self.plan: Plan = make_plan(RunConfig.parse(options_of(name, files, sites=False)))
        self._memories: dict[int, dict[str, bytes]] = {}

    def client(self) -> ProtocolClient:
        """A client of the run's protocol."""
        config, federated = self.plan.config, self.plan.federated
        defence = defence_of(config, federated, self.plan.given)
        dp = defence.dp_sgd if defence is not None and defence.unit == "example" else None
        parts: dict[str, Any] = {
            "trainer": Trainer(dp=dp) if dp else Trainer(), "public": federated.public,
            "defence": defence,
        }  # fmt: skip
        client: ProtocolClient = find_protocol(config.protocol).make_client(config.options, **parts)
        if config.start_options is None:
            return client
        first = find_protocol("lexicon").make_client(config.start_options, **parts)
        return StagedClient(first, client)

    def task(self, pid: int, number: int, payload: bytes) -> ClientTask:
        """What a client works on."""
        memory = self._memories.setdefault(pid, {})
        shard = self.plan.federated.shard(pid)
        return ClientTask(payload, shard, memory, generator(0, "train", number, pid))

    def honest(
        self, server: ProtocolServer, number: int, cohort: Sequence[int]
    ) -> dict[int, bytes]:
        """All contributions of a round."""
        payloads = server.configure(number, cohort)
        return {
            pid: self.client().contribute(self.task(pid, number, payloads[pid])) for pid in cohort
        }

    def payloads(self) -> list[bytes]:
        """What the server sends to client 0, by round; from the second on with its state."""
        server, found = self.plan.server(), []
        for number in range(1, self.plan.config.rounds + 1):
            found.append(server.configure(number, [0])[0])
            server.aggregate(number, self.honest(server, number, [0, 1, 2]))
        self._products = server.products()
        return found

    def products(self) -> dict[str, bytes]:
        """What is tested, after :meth:`payloads`."""
        return self._products


def costly(world: World) -> list[bytes]:
    """Messages in order that ask for much: of scalars along all directions, and of labels."""
    broadcast, recipe = SeedBroadcast(world.plan.encoded_seed), world.plan.given
    directions = encode_state(False, np.full(65_535, 1e-6, np.float32))
    labels = world.plan.server().configure(1, [0])[0]
    steps = struct.pack("<BI", 4, 1_000_000)
    return [
        encode_download(broadcast, recipe, directions),
        encode_download(broadcast, recipe.replace(steps=0), directions),
        labels[: -len(steps)] + steps,
    ]


@dataclass
class Ask:
    """One request."""

    kind: str
    group: str
    payload: bytes
    options: Mapping[str, Any]


@dataclass
class Run:
    """What an honest server sends in one run."""

    name: str
    config: RunConfig
    payloads: dict[int, bytes]
    """By round."""
    products: dict[str, bytes]

    def asks(self, terms: Terms, said: dict[str, bytes]) -> Iterator[Ask]:
        """Its requests in order; ``said`` has the replies to the last one by then."""
        options = self.config.to_run_config()
        yield Ask("query", "0", b"", options)
        yield Ask("query.labels", "0", b"", options)
        yield Ask("query.agree", "0", terms.encode(), options)
        for number, payload in self.payloads.items():
            if self.config.secure_aggregation:
                yield from _sum("train", str(number), payload, options, said)
            else:
                yield Ask("train", str(number), payload, options)
        for name, product in self.products.items():
            if self.config.secure_aggregation:
                asked = encode_parts({0: product}) + json.dumps([name]).encode()
                yield from _sum("evaluate", name, asked, options, said)
            else:
                yield Ask("evaluate", name, product, options)


def _sum(
    kind: str, group: str, payload: bytes, options: Mapping[str, Any], said: dict[str, bytes]
) -> Iterator[Ask]:
    """Four questions; two more clients are played here."""
    people = {number: Participant(number) for number in (1, 2)}
    keys = {number: person.advertise() for number, person in people.items()}
    yield Ask(f"{kind}.advertise", group, b"", options)
    keys[0] = said.get(f"{kind}.advertise", b"")
    try:
        sealed = {number: person.share(keys, 2)[0] for number, person in people.items()}
    except FedseedError:  # the node has not answered
        sealed = {1: b"x" * 200, 2: b"y" * 200}
    yield Ask(f"{kind}.share", group, encode_keys(2, keys), options)
    yield Ask(kind, group, encode_parts(sealed) + payload, options)
    yield Ask(f"{kind}.reveal", group, encode_question([0, 1, 2], []), options)


def make_run(name: str, files: Mapping[str, str]) -> Run:
    """A run of sites, with the messages of one that is split here: they are alike."""
    config = RunConfig.parse(options_of(name, files, sites=True))
    world = World(name, files)
    payloads = dict(enumerate(world.payloads(), 1))
    return Run(name, config, payloads, world.products())
