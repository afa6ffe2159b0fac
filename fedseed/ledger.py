"""Ledger: the bytes that travelled, by round, client and direction, counted on a transcript."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from fedseed.transcript import Exchange, Transcript

Key = TypeVar("Key", bound=Hashable)


def byte_sums(exchanges: list[Exchange]) -> dict[str, dict[str, int]]:
    """Payload and message bytes of some exchanges, down and up."""
    return {
        "payload_bytes": {
            "down": sum(e.payload_bytes["down"] for e in exchanges),
            "up": sum(e.payload_bytes["up"] for e in exchanges),
        },
        "message_bytes": {
            "down": sum(e.down_message_bytes for e in exchanges),
            "up": sum(e.up_message_bytes for e in exchanges),
        },
    }


def ledger(transcript: Transcript, fp32_model_bytes: int) -> dict[str, Any]:
    """The byte ledger of a run, in record.json's form.

    Totals are those of the training rounds; what evaluation cost stands apart. ``rounds`` has
    the sums of every round, ``clients`` those of every client over all rounds.

    Args:
        transcript: what crossed the wire.
        fp32_model_bytes: size of the model's weights, for comparison.
    """
    train = [e for e in transcript if e.trains]
    sums: dict[str, Any] = byte_sums(train)
    each = [byte_sums(sent) for sent in _by(train, lambda e: (e.group, e.partition_id)).values()]
    for kind in ("payload_bytes", "message_bytes"):
        sums[kind]["per_client_round_max"] = {
            way: max((one[kind][way] for one in each), default=0) for way in ("down", "up")
        }
    rounds = _by(train, lambda e: int(e.group))
    clients = by_client(train)
    return sums | {
        "fp32_model_bytes": fp32_model_bytes,
        "rounds": [{"round": number, **byte_sums(sent)} for number, sent in rounds.items()],
        "clients": [{"partition_id": pid, **byte_sums(clients[pid])} for pid in sorted(clients)],
        "evaluation": byte_sums([e for e in transcript if not e.trains]),
    }


def by_client(exchanges: Iterable[Exchange]) -> dict[int, list[Exchange]]:
    """Exchanges by partition."""
    return _by(exchanges, lambda e: e.partition_id)


def _by(exchanges: Iterable[Exchange], key: Callable[[Exchange], Key]) -> dict[Key, list[Exchange]]:
    """Exchanges by what they have in common, in order of the first of each."""
    groups: dict[Key, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(key(exchange), []).append(exchange)
    return groups
