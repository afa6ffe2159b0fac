"""How a disturbed study ended: from its folder, its runs and its nodes' states."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from cluster import Cell, Run

REASON = "fedseed.errors."
Answer = tuple[str, int]
"""Round and node."""


@dataclass(frozen=True)
class Attempt:
    """One run of a study, as it was when it ended."""

    run: Run
    completed: bool
    hung: bool
    answers: Mapping[Answer, str]
    """Digests of what nodes answered in rounds."""

    @classmethod
    def of(cls, run: Run, folder: Path, hung: bool = False) -> Self:
        """Look at a study's folder after a run."""
        return cls(run, _record(folder).get("status") == "completed", hung, _answers(folder))

    @property
    def final(self) -> bool:
        """Whether nothing is left to be done."""
        return self.completed or self.hung

    @property
    def reason(self) -> str:
        """Why fedseed ended the run; empty where it says nothing."""
        for line in reversed(self.run.output.splitlines()):
            if line.startswith(REASON):
                return line.removeprefix(REASON).strip()
        return ""


@dataclass(frozen=True)
class Verdict:
    """How a fault ended."""

    words: str
    failed: bool = False

    def but(self, note: str) -> Self:
        """The same with a note."""
        return replace(self, words=f"{self.words}; {note}")


def judge(
    attempts: Sequence[Attempt],
    folder: Path,
    states: Path,
    reference: Path | None,
    options: Mapping[str, Cell],
    excused: bool,
) -> Verdict:
    """How a study ended.

    Args:
        attempts: its runs in order.
        folder: of the study.
        states: has the nodes' folders.
        reference: the record of the same study without a fault.
        options: of the study.
        excused: whether the first run need not say why it ended: its server was killed.
    """
    last = attempts[-1]
    if last.hung:
        return Verdict(f"FAILED: no end in time, {last.run.status}", failed=True)
    for attempt in attempts[excused:]:
        if not attempt.completed and not attempt.reason:
            return Verdict(f"FAILED: {ended_line(attempt)}", failed=True)
    unlike = _overspent(attempts, folder, states, options)
    if last.completed:
        if reference is not None and not _lost(_record(folder)):
            unlike += differences(folder / "record.json", reference)
        resumes = len(attempts) - 1
        words = f"completed after {resumes} resume(s)" if resumes else "completed"
        first = attempts[0].reason
        words += f" ({first[:160]})" if resumes and first else ""
        words += f" ({lost})" if (lost := _lost(_record(folder))) else ""
    elif last.reason and ("privacy" in options or "secure-aggregation" in options):
        words = f"ended with a line: {last.reason[:300]}"
    else:
        return Verdict(f"FAILED: {ended_line(last)}", failed=True)
    return Verdict(f"FAILED: {'; '.join(unlike)}", failed=True) if unlike else Verdict(words)


def ended_line(attempt: Attempt) -> str:
    """How a run ended that did not complete."""
    said = attempt.reason or f"no reason of fedseed's, {attempt.run.details}"
    return f"{attempt.run.status}: {said}"[:300]


def progress(folder: Path, states: Path, rounds: int) -> int:
    """How far a study is: 1 begun, 2 agreed, 3 one round answered, 4 all rounds answered."""
    answered = {group for group, _ in _answers(folder)}
    full = sum(all((g, pid) in _answers(folder) for pid in range(3)) for g in answered)
    if full:
        return 4 if full >= rounds else 3
    name = _study(folder)
    agreed = name and len(list(states.glob(f"*/{name}/terms.json"))) == 3
    return 2 if agreed else int((folder / "options.json").exists())


def _study(folder: Path) -> str:
    path = folder / "study"
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "record.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _answers(folder: Path) -> dict[Answer, str]:
    """Digests of the answers of nodes in rounds, from the transcript."""
    path = folder / "transcript.jsonl"
    if not path.exists():
        return {}
    found = {}
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        line = json.loads(text) if text.endswith("\n") else {}
        if line.get("phase") == "train" and line["status"] == "ok":
            large = line.get("left_out", {}).get("up")
            up = hashlib.sha256(base64.b64decode(line["up"])).hexdigest()
            found[line["group"], line["partition_id"]] = large["sha256"] if large else up
    return found


def _lost(record: Mapping[str, Any]) -> str:
    """Which answers are lost, of rounds and of tests."""
    told = [
        f"round {one['round']}: node {client['partition_id']} {client['status']}"
        for one in record.get("rounds", [])
        for client in one["clients"]
        if client["status"] != "ok"
    ]
    tests = [
        f"test of {one['product']}: node {one['partition_id']}"
        for one in record.get("results", {}).get("failures", [])
    ]
    return ", ".join(told + tests)


def differences(path: Path, reference: Path) -> list[str]:
    """In what a record differs from that of the study without a fault, or in a simulation."""
    record, other = (json.loads(one.read_text(encoding="utf-8")) for one in (path, reference))
    unlike = [] if record["results"] == other["results"] else ["other results"]
    same = _payloads(record["ledger"]) == _payloads(other["ledger"])
    return unlike if same else [*unlike, "other payload bytes"]


def _payloads(ledger: Any) -> Any:
    """Of a ledger what it says of payloads; messages have the lengths of Flower's ids in them."""
    if not isinstance(ledger, dict):
        return None
    kept = {name: value for name, value in ledger.items() if "payload" in name}
    deeper = {name: _payloads(value) for name, value in ledger.items() if isinstance(value, dict)}
    return deeper | kept


def _overspent(
    attempts: Sequence[Attempt], folder: Path, states: Path, options: Mapping[str, Cell]
) -> list[str]:
    """Where a node under differential privacy gave more than its study's budget covers."""
    if "privacy" not in options:
        return []
    told: dict[Answer, set[str]] = {}
    for attempt in attempts:
        for answer, digest in attempt.answers.items():
            told.setdefault(answer, set()).add(digest)
    name, wrong = _study(folder), [f"answers {at}" for at, many in told.items() if len(many) > 1]
    for state in sorted(states.iterdir()):
        spent = _read(state / "spent.json").get(name)
        counted = _read(state / name / "counters.json").get("answered", "")
        rounds = int.from_bytes(bytes.fromhex(counted), "little")
        if (rounds and spent != options["epsilon"]) or rounds > int(options["rounds"]):
            wrong.append(f"{state.name} spent {spent} on {rounds} rounds")
    return wrong


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
