"""What is broken in a deployment, and how it is put right again."""

import signal
import time
from pathlib import Path

from cluster import Cluster

NODE_KILLED, NODE_AGAIN, CLIENT = "node killed", "node restarted", "ClientApp killed"
LATE, EARLY = "node late", "before the run"
SERVER_APP, SUPERLINK = "ServerApp killed", "SuperLink killed"
TABLE_GONE, TABLE_DAMAGED = "table missing", "table damaged"
KINDS = (
    NODE_KILLED, NODE_AGAIN, CLIENT, LATE, SERVER_APP, SUPERLINK, TABLE_GONE, TABLE_DAMAGED,
)  # fmt: skip
SERVER = (SERVER_APP, SUPERLINK)
SEEN_WITHIN, AT_WORK = 60.0, 2.0


class Strikes:
    """Breaks something in a cluster; all but tables is put right before ``strike`` returns."""

    def __init__(self, cluster: Cluster, tables: list[Path]) -> None:
        """Take a running cluster, and the file of each node's texts."""
        self._cluster = cluster
        self._tables = tables
        self._whole: dict[Path, bytes] = {}

    def strike(self, kind: str, node: int) -> bool:
        """Break something; False when there is nothing to break."""
        cluster = self._cluster
        if kind == NODE_KILLED:
            cluster.kill_node(node)
            cluster.wait_nodes([node], "offline")
        elif kind == NODE_AGAIN:
            cluster.stop_node(node)
        elif kind == CLIENT:
            return self._kill_next(f"node-{node}", "flwr-clientapp")
        elif kind == SERVER_APP:
            found = cluster.processes.find("superlink", "flwr-serverapp")
            cluster.processes.end(found, signal.SIGKILL)
            return bool(found)
        elif kind == SUPERLINK:
            cluster.kill_superlink()
            cluster.start_superlink()
        elif kind in (TABLE_GONE, TABLE_DAMAGED):
            self._spoil(self._tables[node], kind == TABLE_GONE)
        if kind in (NODE_KILLED, NODE_AGAIN, LATE):
            cluster.start_node(node)
            cluster.wait_nodes([node], "online")
        return True

    def put_back(self) -> None:
        """Put back the tables, and wait until every node is there."""
        for table, content in self._whole.items():
            table.write_bytes(content)
        self._whole.clear()
        self._cluster.wait_nodes(range(len(self._tables)), "online")

    def _spoil(self, table: Path, gone: bool) -> None:
        self._whole[table] = table.read_bytes()
        if gone:
            table.unlink()
        else:
            table.write_bytes(b"\x00\xff" * 100)

    def _kill_next(self, part: str, tool: str) -> bool:
        """Kill the next process of a tool that starts: one that is there may be done already."""
        there = self._cluster.processes.find(part, tool)
        end = time.monotonic() + SEEN_WITHIN
        while time.monotonic() < end:
            found = [one for one in self._cluster.processes.find(part, tool) if one not in there]
            if found:
                time.sleep(AT_WORK)
                self._cluster.processes.end(found, signal.SIGKILL)
                return True
            time.sleep(0.1)
        return False
