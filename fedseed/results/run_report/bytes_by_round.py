"""The ledger of a run, by round and by client, and the figure of what the rounds did."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.results.figure import write_figure
from fedseed.results.pages.drawing import drawing
from fedseed.results.report.blocks import Block, Section, Table
from fedseed.results.run_report.outcome import share

_MOST = 200
"""Rounds or clients that a table has rows for; of more those in the middle are left out."""
_MOST_POINTS = 4000
"""Of a figure that is drawn as shapes."""
_SIZES = ("payload_bytes", "message_bytes")
_WAYS = ("down", "up")


def bytes_section(record: Mapping[str, Any]) -> Section:
    """What travelled in every round, and the most and the sum of every client."""
    return Section("bytes", "Bytes by round", [_by_round(record), _of_one(record),
                                               *_by_client(record)])  # fmt: skip


def rounds_section(record: Mapping[str, Any]) -> Section:
    """What the rounds did, as figure.png shows it."""
    shown = drawing(
        record, write_figure, "figure-rounds", "What the rounds did, and what was gained",
        "Left: what the clients report of each round. Right: accuracies of what was given and of "
        "what came out, with their 95 % intervals, beside the references. The accuracies of the "
        "right side stand in the table of all accuracies.", vector=_points(record) <= _MOST_POINTS,
    )  # fmt: skip
    return Section("rounds", "What the rounds did", [shown])


def _points(record: Mapping[str, Any]) -> int:
    """How many dots the figure has: one for each client and round, or for each recipe tried."""
    reported = [client["metrics"] for one in record["rounds"] for client in one["clients"]]
    return sum(len(metrics.get("recipes", [0])) for metrics in reported)


def _by_round(record: Mapping[str, Any]) -> Table:
    rounds = {one["round"]: one for one in record["rounds"]}
    tested = any("test" in one for one in rounds.values())
    booked = record["ledger"]["rounds"]
    rows = [_round(sums, rounds.get(sums["round"], {}), tested) for sums in booked]
    shown, note = _shortened(rows, "rounds")
    head = ["round", "payload down", "payload up", "messages down", "messages up", "usable answers",
            "seconds", *(["accuracy after it"] if tested else [])]  # fmt: skip
    whole = ["all rounds", *_numbers(record["ledger"]), *[""] * (len(head) - 5)]
    tests = record["ledger"].get("evaluation")
    foot = [whole] if tests is None else [
        whole, ["tests at the end", *_numbers(tests), *[""] * (len(head) - 5)]
    ]  # fmt: skip
    return Table(
        "table-rounds", "Bytes of all clients, by round", head, shown,
        "Payload: as the protocol serialised it. Messages: as Flower serialised them, the payload "
        f"within.{note}", sorts=True, foot=foot,
    )  # fmt: skip


def _round(sums: Mapping[str, Any], of: Mapping[str, Any], tested: bool) -> list[str]:
    clients = of.get("clients", [])
    usable = sum(client["status"] == "ok" for client in clients)
    row = [f"{sums['round']:,}", *_numbers(sums), f"{usable:,} of {len(clients):,}",
           f"{of['seconds']:.1f}" if "seconds" in of else ""]  # fmt: skip
    if tested:
        row.append(f"{share(of['test'])}, n = {of['test']['n']:,}" if of.get("test") else "")
    return row


def _of_one(record: Mapping[str, Any]) -> Table:
    """The most that one client had to carry in one round, beside the whole weights."""
    ledger = record["ledger"]
    rows = [
        [words, *(f"{ledger[size]['per_client_round_max'][way]:,}" for way in _WAYS)]
        for size, words in zip(_SIZES, ("payload", "messages"), strict=True)
    ]
    whole = f"{ledger['fp32_model_bytes']:,}"
    rows.append(["for comparison: the weights once, in fp32", whole, whole])
    return Table("table-largest", "The most of one client in one round, bytes",
                 ["what", "down", "up"], rows)  # fmt: skip


def _by_client(record: Mapping[str, Any]) -> list[Block]:
    clients = record["ledger"].get("clients", [])
    rows = [[f"client {one['partition_id']}", *_numbers(one)] for one in clients]
    shown, note = _shortened(rows, "clients")
    head = ["client", "payload down", "payload up", "messages down", "messages up"]
    table = Table("table-clients", "Bytes of all rounds, by client", head, shown, note.strip(),
                  sorts=True)  # fmt: skip
    return [table] if rows else []


def _numbers(sums: Mapping[str, Any]) -> list[str]:
    return [f"{sums[size][way]:,}" for size in _SIZES for way in _WAYS]


def _shortened(rows: Sequence[list[str]], what: str) -> tuple[list[list[str]], str]:
    """The first and the last rows of many, and what is said of the others."""
    if len(rows) <= _MOST:
        return [*rows], ""
    half = _MOST // 2
    left = f" The {len(rows) - 2 * half:,} {what} between them are in record.json."
    return [*rows[:half], *rows[-half:]], left
