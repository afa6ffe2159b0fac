"""How long a round of a thousand nodes takes with small messages, and which process works on it.

``python examples/deployment/many.py`` starts a SuperLink on this machine and one process that
plays the nodes: they speak as SuperNodes do and do no work, so that all of the time is of
messages. Nodes need no known key here.
"""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from cluster import Cell, Cluster
from processes import wait_until
from run import say

APP = Path(__file__).with_name("many")
PLAYED = Path(__file__).with_name("played_nodes.py")


def main() -> int:
    """Measure; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # The deployment has to end with this.
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="nodes that are played")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--payload-bytes", type=int, default=1000, help="each way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fedseed-") as temporary:
        folder = Path(temporary)
        with Cluster(folder, [], anybody=True) as cluster:
            nodes = _play(cluster, options.nodes)
            try:
                _rounds(cluster, vars(options))
            finally:
                nodes.terminate()
                nodes.wait()
    return 0


def _play(cluster: Cluster, count: int) -> "subprocess.Popen[bytes]":
    """Start the process that plays the nodes, and wait until all are connected."""
    log = cluster.log("nodes")
    address, certificate = f"127.0.0.1:{cluster.port}", str(cluster.folder / "ca.pem")
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, str(PLAYED), address, certificate, str(count)],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def connected() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the nodes ended: {log.read_text()[-500:]}")
        return "are connected" in log.read_text()

    wait_until(connected, 600.0, "not all nodes are connected")
    say(f"{count} nodes are connected")
    return process


def _rounds(cluster: Cluster, options: dict[str, Cell]) -> None:
    """Run the rounds, and print what they took.

    Raises:
        RuntimeError: they did not end well.
    """
    link = cluster.processes.find("superlink", "flower-superlink")[0]
    before = _seconds(link)
    written = {name.replace("_", "-"): value for name, value in options.items()}
    done = cluster.run(APP, written, timeout=1800.0)
    rounds = re.findall(r"round: ([\d.]+) ([\d.]+) (\d+)", done.output)
    if len(rounds) != options["rounds"]:
        raise RuntimeError(f"{done.status}: {done.output[-500:]}")
    for number, (sent, all_of_it, answered) in enumerate(rounds, 1):
        say(f"round {number}: all sent after {sent} s, {answered} answers after {all_of_it} s")
    say(f"the SuperLink's process worked {_seconds(link) - before:.0f} s in all")


def _seconds(process: psutil.Process) -> float:
    """Processor time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    raise SystemExit(main())
