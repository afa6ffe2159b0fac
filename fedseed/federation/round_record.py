"""What the record keeps of a round, and who is told of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fedseed.errors import RunError
from fedseed.protocols.base import Report
from fedseed.transcript import Exchange

_NAMED = 3
"""Clients that an error names, at most."""


@dataclass(frozen=True)
class RoundResult:
    """One round, as it stands in record.json."""

    round: int
    """Counted from 1."""
    clients: list[dict[str, Any]]
    """Partition, status, examples, metrics and reason of every client of the cohort."""
    bytes: Mapping[str, Mapping[str, int]]
    """``payload_bytes`` and ``message_bytes``, ``down`` and ``up``."""
    seconds: float
    waiting_seconds: float = 0.0
    """Seconds of these that were spent waiting for the clients."""
    measured: dict[str, Any] = field(default_factory=dict)
    """What whoever runs the session adds to the round's record, such as a test."""

    def to_record(self) -> dict[str, Any]:
        """Return the round object of record.json."""
        return {
            "round": self.round,
            "clients": self.clients,
            **self.bytes,
            "seconds": round(self.seconds, 3),
            **self.measured,
        }


class Observer(Protocol):
    """Gets every event of a session, for displays."""

    def exchanged(self, exchange: Exchange, contents: str = "") -> None:
        """A client has replied, or will not; ``contents`` is what its reply says."""

    def round_done(self, result: RoundResult) -> None:
        """A round was aggregated."""


class Unobserved:
    """An observer that looks away."""

    def exchanged(self, exchange: Exchange, contents: str = "") -> None:
        """See :class:`Observer`."""

    def round_done(self, result: RoundResult) -> None:
        """See :class:`Observer`."""


def client_record(exchange: Exchange, report: Report | None) -> dict[str, Any]:
    """What the record says of one client in one round.

    Args:
        exchange: what crossed the wire.
        report: how the server took the contribution; None when there was none.
    """
    report = report or Report(exchange.status, reason=exchange.reason)
    client: dict[str, Any] = {
        "partition_id": exchange.partition_id,
        "status": report.status,
        "examples": report.examples,
        "metrics": dict(report.metrics),
    }
    return client | ({"reason": report.reason} if report.reason else {})


def refuse_too_few(result: RoundResult, min_clients: int) -> None:
    """Give a run up whose round had too few believable replies.

    Raises:
        RunError: fewer than ``min_clients``; the message has the first reasons.
    """
    usable = sum(client["status"] == "ok" for client in result.clients)
    if usable < min_clients:
        ended = [(c["partition_id"], c["status"], c.get("reason", "")) for c in result.clients]
        raise RunError(
            f"round {result.round} had {usable} usable replies, --min-clients asks for "
            f"{min_clients}: {first_reasons(ended)}"
        )


def first_reasons(ended: Iterable[tuple[int, str, str]]) -> str:
    """Why some clients' answers are of no use, the first few.

    Args:
        ended: partition, status and reason of each client.
    """
    reasons = [f"client {pid} {how} ({why or 'lost'})" for pid, how, why in ended if how != "ok"]
    return "; ".join(reasons[:_NAMED]) + ("; ..." if len(reasons) > _NAMED else "")
