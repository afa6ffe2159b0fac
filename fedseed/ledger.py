"""Ledger: the bytes that travelled, by round, client and direction, counted on a transcript."""

from typing import Any

from fedseed.transcript import EVALUATE, TRAIN, Exchange, Transcript


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
    train = [e for e in transcript if e.phase == TRAIN]
    sums: dict[str, Any] = byte_sums(train)
    for kind, size in (("payload_bytes", _payload_sizes), ("message_bytes", _message_sizes)):
        sizes = [size(e) for e in train] or [(0, 0)]
        sums[kind]["per_client_round_max"] = {
            "down": max(down for down, _ in sizes),
            "up": max(up for _, up in sizes),
        }
    groups = transcript.groups(TRAIN)
    clients: dict[int, list[Exchange]] = {}
    for exchange in sorted(train, key=lambda e: e.partition_id):
        clients.setdefault(exchange.partition_id, []).append(exchange)
    return sums | {
        "fp32_model_bytes": fp32_model_bytes,
        "rounds": [
            {"round": int(group), **byte_sums([e for e in train if e.group == group])}
            for group in groups
        ],
        "clients": [{"partition_id": pid, **byte_sums(sent)} for pid, sent in clients.items()],
        "evaluation": byte_sums([e for e in transcript if e.phase == EVALUATE]),
    }


def _payload_sizes(exchange: Exchange) -> tuple[int, int]:
    return exchange.payload_bytes["down"], exchange.payload_bytes["up"]


def _message_sizes(exchange: Exchange) -> tuple[int, int]:
    return exchange.down_message_bytes, exchange.up_message_bytes
