"""Many SuperNodes played by one process: they speak as a SuperNode does, and do no work.

``python played_nodes.py ADDRESS CERTIFICATE COUNT`` registers so many nodes, each of which looks
for a message every three seconds, as Flower's do, and answers with as many bytes as it got.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from flwr.app import Message
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.inflatable.inflatable_utils import (
    inflate_object_from_contents,
    iterate_object_tree,
    pull_objects,
)
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.fleet_http_connection import http_request_response

from fedseed.federation.messages import content, payload_of

_EVERY = 3.0
"""Seconds between two looks of a SuperNode."""
_THREADS = 8


@dataclass
class Played:
    """One node's connection."""

    receive: Callable[[], Any]
    send: Callable[..., Any]
    pull: Callable[[int, str], bytes]
    push: Callable[[int, str, str, bytes], None]
    confirm: Callable[[int, str], None]
    due: float

    def look(self) -> None:
        """Look for a message, and answer it."""
        found = self.receive()
        if found is None:
            return
        described, tree = found
        run, number = described.metadata.run_id, described.metadata.message_id
        names = [one.object_id for one in iterate_object_tree(tree)]
        objects = pull_objects(names, lambda name: self.pull(run, name))
        self.confirm(run, number)
        message = inflate_object_from_contents(number, objects)
        message.metadata.__dict__["_message_id"] = number
        reply = Message(content(payload_of(message)), reply_to=message)
        reply.metadata.__dict__["_message_id"] = reply.object_id
        parts = get_all_nested_objects(reply)
        wanted, session = self.send(reply, get_object_tree(reply), 0.0)
        for name in wanted:
            self.push(run, session, name, parts[name].deflate())


def main(address: str, certificate: str, count: int) -> None:
    """Play until the process is ended."""
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    with ExitStack() as stack:
        played = []
        for number in range(count):
            _, receive, send, _, _, pull, push, confirm = stack.enter_context(
                http_request_response(address, False, certificate)
            )
            due = time.monotonic() + _EVERY * number / count
            played.append(Played(receive, send, pull, push, confirm, due))
        print(f"{count} nodes are connected", flush=True)
        threads = [
            threading.Thread(target=_turns, args=(played[number::_THREADS],), daemon=True)
            for number in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _turns(nodes: list[Played]) -> None:
    """Play some nodes; whatever goes wrong ends the process, so that nobody waits for them."""
    try:
        _play(nodes)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _play(nodes: list[Played]) -> None:
    while True:
        for node in nodes:
            time.sleep(max(0.0, node.due - time.monotonic()))
            node.look()
            node.due = max(node.due + _EVERY, time.monotonic())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
