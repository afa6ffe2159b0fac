"""Flower's processes on this machine: started with a mark, found by it, ended by their ids.

The mark stands in the environment, which children inherit; so children are found even when
they run in a session of their own, or when their parent has ended before them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

MARK = "FEDSEED_CLUSTER_PART"
GRACE = 10.0
# Nothing is downloaded, nobody is told, and no task waits a whole second to be seen.
SWITCHES = {
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}


class Processes:
    """The processes of one deployment, by part; their logs are files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._token = uuid.uuid4().hex

    def start(self, part: str, tool: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start one of Flower's tools in a session of its own; its log is appended to."""
        with self.log(part).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own arguments
                [_tool(tool), *arguments],
                env=self._environment(part),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def call(self, tool: str, arguments: Sequence[str], timeout: float) -> str:
        """Call one of Flower's tools, and return what it printed.

        Raises:
            RuntimeError: it failed.
            subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
        """
        done = subprocess.run(  # noqa: S603 - our own arguments
            [_tool(tool), *arguments],
            env=self._environment("call"),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            start_new_session=True,
        )
        if done.returncode:
            raise RuntimeError(f"{tool} {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def find(self, part: str = "", tool: str = "") -> list[psutil.Process]:
        """The processes that live now: all, those of a part, or those of a tool in it."""
        found = []
        for process in psutil.process_iter():
            try:
                token, _, name = process.environ().get(MARK, "").partition(":")
                words = process.cmdline()[:2] if token == self._token else []
            except (psutil.Error, OSError):
                continue
            is_tool = not tool or any(Path(word).name == tool for word in words)
            if token == self._token and part in ("", name) and is_tool:
                found.append(process)
        return found

    def end(self, processes: Sequence[psutil.Process], sign: signal.Signals) -> None:
        """Send a signal to each; kill those that still live after a grace period."""
        for process in processes:
            _send(process, sign)
        _, alive = psutil.wait_procs(processes, timeout=GRACE)
        for process in alive:
            _send(process, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=GRACE)

    def end_all(self, part: str = "", sign: signal.Signals = signal.SIGTERM) -> None:
        """End a part, or everything; look again for what was started meanwhile."""
        for _ in range(3):
            living = self.find(part)
            if not living:
                return
            self.end(living, sign)

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self.folder / f"{part}.log"

    def _environment(self, part: str) -> dict[str, str]:
        home = str(self.home)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        own = {"HOME": home, "FLWR_HOME": home, "PATH": path, MARK: f"{self._token}:{part}"}
        return {**os.environ, **SWITCHES, **own}


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_until(
    reached: Callable[[], bool], wait: float, otherwise: str, pause: float = 0.1
) -> None:
    """Ask again and again.

    Args:
        reached: says whether it is so far.
        wait: seconds to ask for.
        otherwise: what is not so, for the message.
        pause: seconds between two questions.

    Raises:
        TimeoutError: not reached within ``wait`` seconds.
    """
    end = time.monotonic() + wait
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"{otherwise} after {wait:g} seconds")
        time.sleep(pause)


def _tool(name: str) -> str:
    """Flower's tools lie beside this interpreter."""
    return str(Path(sys.executable).parent / name)


def _send(process: psutil.Process, sign: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    try:
        process.send_signal(sign)
    except psutil.NoSuchProcess:
        return
