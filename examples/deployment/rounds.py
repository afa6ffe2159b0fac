"""How long a round takes on real processes: an empty one, and federated averaging.

``python examples/deployment/rounds.py`` starts a SuperLink and ten SuperNodes on this machine, and
runs rounds in which nobody does anything; then federated averaging of BERT-tiny, which it also
runs in a simulation. What the deployment takes longer is Flower's: processes, messages, waiting.
"""

import argparse
import json
import re
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median

from cluster import Cell, Cluster
from run import APP, say
from simulation import simulate

EMPTY = Path(__file__).with_name("empty")
AVERAGING: dict[str, Cell] = {
    "protocol": "weights", "newcomers": 0, "rounds": 3, "steps": 30, "max-length": 128,
    "start": "random",
}  # fmt: skip
"""Ten clients x 30 steps of 16 texts of 128 tokens a round."""


def main() -> int:
    """Measure; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # The deployment has to end with this.
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10, help="SuperNodes on this machine")
    count = parser.parse_args().nodes
    with tempfile.TemporaryDirectory(prefix="fedseed-") as temporary:
        folder = Path(temporary)
        link = folder / "flower"
        link.mkdir()
        options = {**AVERAGING, "clients": count}
        with Cluster(link, [{"partition-id": number} for number in range(count)]) as cluster:
            say(f"{count} nodes are up")
            _empty(cluster)
            deployed = _averaging(cluster, options, folder / "deployed")
        simulated = _seconds(simulate(options, folder / "simulated"))
    say(f"the same in a simulation: {_words(simulated)} s a round")
    share = 1 - sum(simulated) / sum(deployed)
    print(f"Flower's share of the rounds: {100 * share:.0f} %", flush=True)
    return 0


def _empty(cluster: Cluster) -> None:
    """Run empty rounds, and print what they take.

    Raises:
        RuntimeError: they did not end well.
    """
    done = cluster.run(EMPTY, {})
    seconds = [float(one) for one in re.findall(r"seconds: ([\d.]+)", done.output)]
    if not seconds:
        raise RuntimeError(f"no round ended: {done.status}, {done.output[-500:]}")
    say(f"an empty round: {_words(seconds)} s")


def _averaging(cluster: Cluster, options: dict[str, Cell], folder: Path) -> list[float]:
    """Run federated averaging; returns the seconds of each round.

    Raises:
        RuntimeError: it did not end well.
    """
    done = cluster.run(APP, {**options, "folder": str(folder)}, timeout=1800.0)
    if done.record is None:
        raise RuntimeError(f"no record: {done.status}, {done.output[-500:]}")
    seconds = _seconds(done.record)
    say(f"a round of federated averaging: {_words(seconds)} s")
    return seconds


def _seconds(record: Path) -> list[float]:
    """What each round of a record took."""
    rounds = json.loads(record.read_text(encoding="utf-8"))["rounds"]
    return [float(one["seconds"]) for one in rounds]


def _words(seconds: list[float]) -> str:
    return f"{median(seconds):.1f} ({min(seconds):.1f} - {max(seconds):.1f}, n = {len(seconds)})"


if __name__ == "__main__":
    raise SystemExit(main())
