"""Clients that failed, and why."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fedseed import errors
from fedseed.results.report.blocks import Block, Paragraph, Section, Table

_MOST = 100
"""Clients that are named one by one."""
_LONGEST = 240
"""Letters of a reason."""
_RAISED = re.compile(r"([A-Za-z_.]*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning)): .*", re.S)


def lost_words(record: Mapping[str, Any]) -> list[str]:
    """How many answers were lost, in a sentence or two."""
    answers, lost = _rounds(record), _lost(record)
    untested = record["results"].get("failures", [])
    if not lost and not untested:
        return [f"None failed: all {answers:,} answers of the rounds came, and every test."]
    lines = []
    if lost:
        lines.append(f"{len(lost):,} of {answers:,} answers could not be used.")
    if untested:
        lines.append(f"{len(untested):,} test(s) are missing.")
    return lines


def lost_section(record: Mapping[str, Any]) -> Section:
    """Every client whose answer or test is missing, with its reason."""
    lost = _lost(record)
    untested = [
        [f"test of {one['product']}", f"client {one['partition_id']}", "failed",
         reason_words(one["reason"])]
        for one in record["results"].get("failures", [])
    ]  # fmt: skip
    rows = [*lost, *untested]
    blocks: list[Block] = [Paragraph(" ".join(lost_words(record)))]
    if rows:
        more = len(rows) - _MOST
        counted = Counter((how, why) for _, _, how, why in rows).most_common(_MOST)
        blocks += [
            Table("table-reasons", "Why", ["what became of it", "reason", "how often"],
                  [[how, why, f"{count:,}"] for (how, why), count in counted], sorts=True),
            Table("table-lost", "Each of them", ["when", "client", "what became of it", "reason"],
                  rows[:_MOST], f"{more:,} more are in record.json." if more > 0 else "",
                  sorts=True),
        ]  # fmt: skip
    return Section("lost", "Clients that failed, and why", blocks)


def reason_words(reason: str) -> str:
    """A reason that is safe to show: an error that fedseed did not raise may quote a text.

    Of such an error the name alone is shown.
    """
    raised = _RAISED.fullmatch(reason)
    if raised and raised[1] != "TimeoutError" and not hasattr(errors, raised[1]):
        return f"{raised[1]} (its message is in record.json)"
    return reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]} ..."


def _rounds(record: Mapping[str, Any]) -> int:
    return sum(len(one["clients"]) for one in record["rounds"])


def _lost(record: Mapping[str, Any]) -> list[list[str]]:
    return [
        [f"round {one['round']}", f"client {client['partition_id']}", client["status"],
         reason_words(client.get("reason") or "its reply was lost")]
        for one in record["rounds"] for client in one["clients"] if client["status"] != "ok"
    ]  # fmt: skip
