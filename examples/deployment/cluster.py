"""A whole Flower deployment on one machine, with TLS and SuperNode authentication.

Everything listens on the loopback address alone, on ports that were free.
"""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomli_w
from certificates import make_certificates, make_key
from processes import Processes, free_ports, wait_until

Cell = str | int | float | bool
CONNECTION = "cluster"
# A SuperNode that was killed counts as online for two intervals of its heartbeat, 30 s each.
UNTIL_OFFLINE = 75.0


@dataclass(frozen=True)
class Run:
    """A run: what Flower says of it, and what its ServerApp has printed."""

    run_id: int
    status: str
    details: str
    bytes_to_server: int
    bytes_from_server: int
    output: str

    @property
    def record(self) -> Path | None:
        """The record that the app wrote, from its last line ``record: PATH``."""
        for line in reversed(self.output.splitlines()):
            if line.startswith("record: "):
                return Path(line.removeprefix("record: ").strip())
        return None


class Cluster:
    """One SuperLink and a SuperNode for each site; everything is in ``folder``.

    Args:
        folder: new or empty; keys, certificates, database, logs and results are kept there.
        sites: the node config of each SuperNode.
        wait: seconds to wait until the SuperLink listens, and until SuperNodes are online.
        anybody: let SuperNodes without a known key in.
    """

    def __init__(
        self,
        folder: Path,
        sites: Sequence[Mapping[str, Cell]],
        *,
        wait: float = 180.0,
        anybody: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self.sites = [dict(site) for site in sites]
        self.wait, self.anybody = wait, anybody
        self.node_ids: list[int] = []
        self.processes = Processes(self.folder)
        self.port, *self._node_ports = free_ports(1 + len(self.sites))

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start_superlink()
            for i in range(len(self.sites)):
                self.register(self.folder / f"node-{i}.key.pub")
                self.start_node(i)
            if self.sites:
                self.wait_nodes(range(len(self.sites)), "online")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of this deployment: ask first, kill after a grace period."""
        self.processes.end_all()

    def run(
        self,
        app: Path,
        run_config: Mapping[str, Cell],
        timeout: float = 600.0,
        started: Callable[[int], None] | None = None,
    ) -> Run:
        """Run an app until it has finished, and tell how it ended.

        Args:
            app: the folder with the app's ``pyproject.toml``.
            run_config: the options that differ from those of the app.
            timeout: seconds after which the run is stopped.
            started: called once with the run's id, as soon as the run is accepted.

        Raises:
            RuntimeError: Flower's command line failed, because the SuperLink is gone or refuses.
            TimeoutError: the run took longer; it has been stopped.
        """
        end = time.monotonic() + timeout
        run_id = self.submit(app, run_config)
        if started is not None:
            started(run_id)
        try:
            left = max(1.0, end - time.monotonic())
            output = self.flwr("log", str(run_id), CONNECTION, timeout=left)
        except subprocess.TimeoutExpired:
            self.flwr("stop", str(run_id), CONNECTION)
            raise TimeoutError(f"run {run_id} was stopped after {timeout:g} seconds") from None
        return self.look(run_id, output)

    def submit(self, app: Path, run_config: Mapping[str, Cell]) -> int:
        """Hand an app to the SuperLink, and return the run's id at once."""
        command = ["run", str(app.resolve()), CONNECTION, "--format", "json"]
        if run_config:
            options = self.folder / "run.toml"
            options.write_text(tomli_w.dumps(dict(run_config)), encoding="utf-8")
            command += ["--run-config", str(options)]
        return int(_json(self.flwr(*command))["run-id"])

    def look(self, run_id: int, output: str | None = None) -> Run:
        """What Flower knows of a run now, and what its ServerApp has printed; asked for if None."""
        said = self.flwr("list", CONNECTION, "--run-id", str(run_id), "--format", "json")
        row = _json(said)["runs"][0]
        traffic = row["network-traffic"]
        return Run(
            run_id,
            row["status"],
            row["status-details"],
            traffic["inbound-bytes"],
            traffic["outbound-bytes"],
            self.flwr("log", str(run_id), CONNECTION, "--show") if output is None else output,
        )

    def flwr(self, *arguments: str, timeout: float = 120.0) -> str:
        """Call Flower's command line, and return what it printed."""
        return self.processes.call("flwr", arguments, timeout)

    def start_superlink(self) -> None:
        """Start the SuperLink on its port and database, and wait until it listens."""
        command = ["--host", "127.0.0.1", "--port", str(self.port)]
        command += [] if self.anybody else ["--enable-supernode-auth"]
        command += ["--database", str(self.folder / "state.db")]
        command += ["--disable-runtime-dependency-installation"]
        for option, name in (("ca-cert", "ca.pem"), ("cert", "server.pem"), ("key", "server.key")):
            command += [f"--ssl-{option}file", str(self.folder / name)]
        process = self.processes.start("superlink", "flower-superlink", command)
        wait_until(lambda: self._listens(process), self.wait, "the SuperLink does not listen")

    def kill_superlink(self) -> None:
        """Kill the SuperLink's own process (SIGKILL); its children fare as they do."""
        mine = self.processes.find("superlink", "flower-superlink")
        self.processes.end(mine, signal.SIGKILL)

    def start_node(
        self, i: int, *, key: Path | None = None, with_key: bool = True, tls: bool = True
    ) -> subprocess.Popen[bytes]:
        """Start a SuperNode; another key, no key or no TLS shows what is refused.

        After ``kill_node`` the SuperLink refuses it until it counts as offline: wait for that
        with ``wait_nodes([i], "offline")``.
        """
        part = f"node-{i}"
        self.processes.end_all(part, signal.SIGKILL)  # A refused SuperNode leaves a child behind.
        cells = " ".join(f"{name}={json.dumps(cell)}" for name, cell in self.sites[i].items())
        command = ["--superlink", f"127.0.0.1:{self.port}", "--node-config", cells]
        command += ["--host", "127.0.0.1", "--port", str(self._node_ports[i])]
        command += ["--root-certificates", str(self.folder / "ca.pem")] if tls else ["--insecure"]
        if with_key:
            command += ["--auth-supernode-private-key", str(key or self.folder / f"{part}.key")]
        return self.processes.start(part, "flower-supernode", command)

    def stop_node(self, i: int) -> None:
        """Ask a SuperNode to leave (SIGTERM), then end its children."""
        mine = self.processes.find(f"node-{i}", "flower-supernode")
        self.processes.end(mine, signal.SIGTERM)
        self.processes.end_all(f"node-{i}")

    def kill_node(self, i: int) -> None:
        """Kill a SuperNode and its ClientApp (SIGKILL)."""
        self.processes.end_all(f"node-{i}", signal.SIGKILL)

    def register(self, public_key: Path) -> int:
        """Make a SuperNode's key known to the SuperLink, and return the node's id."""
        said = self.flwr("supernode", "register", str(public_key), CONNECTION, "--format", "json")
        self.node_ids.append(int(_json(said)["node-id"]))
        return self.node_ids[-1]

    def states(self) -> dict[int, str]:
        """What the SuperLink says of each SuperNode: registered, online or offline."""
        said = _json(self.flwr("supernode", "list", CONNECTION, "--format", "json"))
        return {int(node["node-id"]): str(node["status"]) for node in said["nodes"]}

    def wait_nodes(self, which: Sequence[int], state: str, wait: float | None = None) -> None:
        """Wait until the SuperNodes of these sites are in a state."""

        def reached() -> bool:
            states = self.states()
            return all(states.get(self.node_ids[i]) == state for i in which)

        longest = max(self.wait, UNTIL_OFFLINE) if wait is None else wait
        wait_until(reached, longest, f"not all of SuperNodes {list(which)} are {state}", 2.0)

    def log(self, part: str) -> Path:
        """The log file of a part: ``superlink``, ``node-0``, ``node-1``, ..."""
        return self.processes.log(part)

    def _prepare(self) -> None:
        """Write certificates, keys and the settings of Flower's command line."""
        self.processes.home.mkdir(parents=True, exist_ok=True)
        make_certificates(self.folder)
        for i in range(len(self.sites)):
            make_key(self.folder / f"node-{i}.key")
        link = {
            "address": f"127.0.0.1:{self.port}",
            "root-certificates": str(self.folder / "ca.pem"),
        }
        text = tomli_w.dumps({"superlink": {"default": CONNECTION, CONNECTION: link}})
        (self.processes.home / "config.toml").write_text(text, encoding="utf-8")

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the SuperLink takes connections.

        Raises:
            RuntimeError: it has ended.
        """
        if process.poll() is not None:
            raise RuntimeError(f"the SuperLink ended: see {self.log('superlink')}")
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _json(text: str) -> Any:
    """The JSON object in what Flower's command line printed."""
    return json.loads(text[text.index("{") :])
