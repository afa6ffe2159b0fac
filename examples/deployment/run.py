"""A deployment on one machine: three sites with a table each, a server without any.

``python examples/deployment/run.py`` makes keys and tables, starts a SuperLink with TLS and
authentication and three SuperNodes, runs two studies through them, and ends everything again.
"""

import argparse
import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from cluster import Cell, Cluster, Run
from texts import accuracy_line, node_configs, write_sites
from traffic import Traffic, expected, payloads

APP = Path(__file__).with_name("app")
COMMON: dict[str, Cell] = {
    "data": "sites", "clients": 3, "newcomers": 0, "secure-aggregation": True, "threshold": 3,
    "privacy": "example", "max-length": 128,
}  # fmt: skip
STUDIES: dict[str, dict[str, Cell]] = {
    "words, counted and noised": COMMON | {
        "protocol": "lexicon", "estimate": "counts", "rounds": 1, "epsilon": 4.0,
    },
    "weights in int8, from those words": COMMON | {
        "protocol": "weights", "codec": "int8", "rounds": 1, "steps": 10, "epsilon": 8.0,
        "clip": 1.0, "smallest-site": 500, "classes": "negative,positive",
    },
}  # fmt: skip
"""Both under secure aggregation and differential privacy; the first asks nodes for the classes."""


def main() -> int:
    """Run the example; returns the exit status."""
    arguments = _arguments()
    for sign in (signal.SIGTERM, signal.SIGINT):  # what was started is ended, whoever asks
        signal.signal(sign, _stop)
    chosen = dict(list(STUDIES.items())[: arguments.studies])
    usual = Path("results") / "scratch" / f"deployment-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(arguments.out or usual).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    say(f"everything is in {folder}")
    return _deploy(folder, chosen, arguments.strangers)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="a new folder; without it one below results/scratch")
    parser.add_argument(
        "--studies", type=int, default=len(STUDIES), help="run the first so many studies"
    )
    parser.add_argument("--strangers", action="store_true", help="also show nodes that are refused")
    return parser.parse_args()


def _deploy(folder: Path, studies: Mapping[str, Mapping[str, Cell]], strangers: bool) -> int:
    files = write_sites(folder / "sites")
    configs = node_configs(files, folder / "states")
    say("starting a SuperLink with TLS and authentication, and three SuperNodes")
    link = folder / "flower"
    link.mkdir()
    record = None
    with Cluster(link, configs) as cluster:
        for number, (name, options) in enumerate(studies.items()):
            if number:  # what noise hides once may be used again
                options = {**options, "seed-file": str(folder / "study0" / "lexicon.fseed")}
            say(f"study: {name}: {json.dumps(options)}")
            done = cluster.run(APP, {**options, "folder": str(folder / f"study{number}")})
            record = done.record
            if done.status != "finished:completed" or record is None:
                say(f"the run is {done.status} ({done.details}):\n{done.output[-2000:]}")
                return 1
            say(f"{name}: {accuracy_line(record)}")
            say_bytes(done, record, len(configs), asked_for_classes="classes" not in options)
        if strangers:
            show_strangers(cluster)
    print(f"record: {record}", flush=True)
    return 0


def say_bytes(done: Run, record: Path, nodes: int, *, asked_for_classes: bool) -> None:
    """Print what travelled: payloads, what they come to with all around them, Flower's count."""
    transcript = record.with_name("transcript.jsonl")
    held = payloads(transcript)
    told = expected(transcript, nodes, asked_for_classes=asked_for_classes)
    counted = Traffic(done.bytes_from_server, done.bytes_to_server)
    for way, where in (("down", "to the nodes"), ("up", "from them")):
        most, count = getattr(told, way), getattr(counted, way)
        say(
            f"bytes {where}: payloads {getattr(held, way):,}, with what Flower puts around them "
            f"{most:,}; Flower counts {count:,} ({100 * (most / count - 1):+.2f} %)"
        )


def show_strangers(cluster: Cluster) -> None:
    """Start nodes that the SuperLink does not know, and print what they are told."""
    from certificates import make_key

    foreign = cluster.folder / "foreign.key"
    make_key(foreign)
    cluster.stop_node(2)
    for name, how in (
        ("without a key", {"with_key": False}),
        ("with another's key", {"key": foreign}),
        ("without TLS", {"tls": False}),
    ):
        process = cluster.start_node(2, **how)
        status = process.wait(timeout=60)
        lines = cluster.log("node-2").read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line.strip() for line in lines if "code: 2" in line or "Insecure" in line]
        say(f"a node {name} ended with status {status}: {told[-1] if told else lines[-1]}")


STARTED = time.monotonic()


def say(line: str) -> None:
    """Print what happens, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:5.0f} s] {line}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
