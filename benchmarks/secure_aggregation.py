"""What secure aggregation adds to a round, by protocol: bytes of a client, and seconds.

Clients take one step, so that what is measured is messages, keys, masks and sums.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for benchmarks itself

from benchmarks.running import spread
from fedseed.cli.exit_status import run_main
from fedseed.config import RunConfig
from fedseed.results.markdown import grid, size
from fedseed.runs.plan import make_plan
from fedseed.studies.federated_run import FederatedRun

_PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "lexicon, counts": {"protocol": "lexicon", "estimate": "counts"},
    "labels": {"protocol": "labels", "distil_steps": 1},
    "coordinates": {"protocol": "coordinates"},
    "adapters": {"protocol": "adapters", "codec": "int8"},
    "mask": {"protocol": "mask"},
    "weights, int8": {"protocol": "weights", "codec": "int8"},
}
"""Options of every protocol whose contributions add up."""
_SHARED = {
    "rounds": 1, "steps": 1, "test_examples": 20, "workers": "1", "newcomers": 1, "max_length": 64,
    "start": "random",
}  # fmt: skip


def measured(options: Mapping[str, Any], clients: int, secure: bool) -> tuple[float, float, float]:
    """Bytes up and down of one client, and seconds of all clients and the server."""
    more = {"secure_aggregation": True} if secure else {}
    plan = make_plan(RunConfig.parse({**_SHARED, **options, "clients": clients, **more}))
    clock = time.monotonic()
    outcome = FederatedRun(plan).run()
    seconds = time.monotonic() - clock
    sent = outcome["payload_bytes"]
    return sent["up"] / clients, sent["down"] / clients, seconds


def main(
    clients: Annotated[int, typer.Option(min=3, help="Clients of the round.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements.")] = 3,
) -> None:
    """Print a table of bytes and seconds with and without secure aggregation."""
    lines = []
    for name, options in _PROTOCOLS.items():
        plain, secure = (
            [measured(options, clients, unseen) for _ in range(repeats)] for unseen in (False, True)
        )
        added = spread([
            (there[2] - here[2]) / clients for here, there in zip(plain, secure, strict=True)
        ])  # fmt: skip
        lines.append([
            name, size(plain[0][0]), size(secure[0][0]), f"{secure[0][0] / plain[0][0]:.1f}",
            size(plain[0][1]), size(secure[0][1]),
            f"{added['median']:.2f} ({added['min']:.2f} - {added['max']:.2f})",
        ])  # fmt: skip
    head = ("protocol", "up", "up, summed unseen", "times", "down", "down, summed unseen",
            "added seconds a client")  # fmt: skip
    print(grid(head, lines))
    print(f"{clients} clients, one round; bytes of one client; {repeats} runs on one core")


if __name__ == "__main__":
    sys.exit(run_main(main))
