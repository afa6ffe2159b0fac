"""Deployed nodes in this process, behind a grid: the same apps and messages, no network.

Messages and replies go through bytes, a node's context lives as long as its process, and a node
can be killed, or lose what it was about to say.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from fedseed.config import RunConfig
from fedseed.federation.client_app import client_app
from fedseed.federation.messages import error_reply, message_from_bytes, message_to_bytes

Loss = Callable[[Message, int], str]
"""Says of a message (its type and group) and a node whether the node is killed ``before`` it works
on it, its reply is ``lost`` after, or nothing happens (an empty string)."""


class Nodes(Grid):
    """A SuperLink with its SuperNodes."""

    def __init__(
        self, configs: list[Mapping[str, Any]], options: Mapping[str, Any], run_id: int = 1,
        loss: Loss = lambda *_: "",
    ) -> None:  # fmt: skip
        self.app = client_app()
        self.configs = configs
        self.run_config = RunConfig.parse(options).to_run_config()
        self.loss = loss
        self.run_id = run_id
        self.asked: list[tuple[str, str, int]] = []
        """Type, group and node of every message."""
        self._contexts = {n: self._context(n) for n in range(len(configs))}
        self._replies: dict[str, Message] = {}
        self._ids = itertools.count(1)
        TaskIdentity.run_id = run_id
        TaskIdentity.node_id = 1
        TaskIdentity.task_id = 1

    def restart(self, run_id: int) -> None:
        """Begin another run of Flower's: what a node keeps in its process is gone."""
        self.run_id = run_id
        self._contexts = {n: self._context(n) for n in range(len(self.configs))}

    def change(self, number: int, **options: Any) -> None:
        """Change the options that a node is told from now on."""
        self._contexts[number].run_config = self.run_config | options

    def _context(self, number: int) -> Context:
        return Context(
            self.run_id, 100 + number, dict(self.configs[number]), RecordDict(), self.run_config
        )

    def set_run(self, run: Run) -> None: ...

    @property
    def run(self) -> Run:
        return Run.create_empty(run_id=self.run_id)

    def create_message(self, *_: Any, **__: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return [100 + number for number in range(len(self.configs))]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = f"m{next(self._ids)}"
            self._work(message_from_bytes(message_to_bytes(message)))
            ids.append(message.metadata.message_id)
        return ids

    def _work(self, message: Message) -> None:
        number = message.metadata.dst_node_id - 100
        kind, group = message.metadata.message_type, message.metadata.group_id
        self.asked.append((kind, group, number))
        loss = self.loss(message, number)
        reply = Message(Error(code=5, reason="Node Unavailable"), reply_to=message)
        if loss == "before":
            self._contexts[number] = self._context(number)
        else:
            try:
                reply = self.app(message, self._contexts[number])
            except Exception as error:
                reply = error_reply(message, error)
            if loss:
                self._contexts[number] = self._context(number)
                reply = Message(Error(code=5, reason="Node Unavailable"), reply_to=message)
        reply.metadata.__dict__["_src_node_id"] = message.metadata.dst_node_id
        self._replies[message.metadata.message_id] = reply

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies.pop(one) for one in list(message_ids) if one in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        raise NotImplementedError
