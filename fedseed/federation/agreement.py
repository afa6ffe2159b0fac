"""Agreement before a deployment's first round: which classes, and whether all fits everywhere.

Nodes are asked one thing after the other: what their classes are called, where they tell it, then
whether they take part under the run's terms. Whoever does not is named with its reason before
anything is trained.
"""

import json
from collections.abc import Mapping
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

from fedseed.data.sites.federated import joined_classes
from fedseed.errors import RunError, WireError
from fedseed.federation.messages import content, payload_of
from fedseed.federation.nodes import collect_replies
from fedseed.federation.terms import Terms

_LONGEST = 1 << 16
_NAMED = 5
"""Nodes that an error names, at most."""


class Agreement:
    """The server's side."""

    def __init__(self, grid: Grid, nodes: Mapping[int, int]) -> None:
        """Prepare to ask.

        Args:
            grid: the way to the nodes.
            nodes: their ids by partition.
        """
        self._grid, self._nodes = grid, nodes

    def classes(self) -> str:
        """The classes that nodes tell, joined by commas.

        Raises:
            RunError: a node cannot open its table.
            ConfigError: they tell fewer than two.
        """
        answers = self._ask("query.labels", b"")
        told: set[str] = set()
        for answer in answers.values():
            labels = answer.get("labels", [])
            if isinstance(labels, list) and all(isinstance(one, str) for one in labels):
                told |= {one for one in labels if one.isprintable()}
        return joined_classes(told)

    def agree(self, terms: Terms) -> dict[int, str]:
        """Have all nodes take part under terms; returns their names by partition.

        Raises:
            RunError: some do not; the message has the first reasons.
        """
        answers = self._ask("query.agree", terms.encode())
        return {pid: _shown(answer.get("name"), pid) for pid, answer in answers.items()}

    def _ask(self, kind: str, payload: bytes) -> dict[int, dict[str, Any]]:
        messages = {
            pid: Message(content(payload), node, kind, group_id="0")
            for pid, node in self._nodes.items()
        }
        replies = collect_replies(self._grid, messages)
        answers = {pid: _read(reply) for pid, reply in replies.items()}
        refused = [
            f"node {pid}: {answer['refused']}"
            for pid, answer in sorted(answers.items())
            if "refused" in answer
        ]
        if refused:
            more = "; ..." if len(refused) > _NAMED else ""
            raise RunError(
                f"{len(refused)} of {len(messages)} nodes do not take part: "
                f"{'; '.join(refused[:_NAMED])}{more}"
            )
        return answers


def _read(reply: Message | None) -> dict[str, Any]:
    """A node's answer; whatever it sends, it is an answer or a reason."""
    if reply is None:
        return {"refused": "it does not answer"}
    if reply.has_error():
        return {"refused": _line(reply.error.reason or f"error {reply.error.code}")}
    try:
        payload = payload_of(reply)
        answer = json.loads(payload) if len(payload) <= _LONGEST else None
    except (WireError, ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return {"refused": "its answer cannot be read"}
    if "refused" in answer:
        return {"refused": _line(str(answer["refused"]))}
    return answer


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _shown(name: object, pid: int) -> str:
    shown = _line(name)[:60] if isinstance(name, str) else ""
    return shown or f"site {pid}"
